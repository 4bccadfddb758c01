//! What hardening closes: values and modules of the kernel, programs with privileges, the sandboxes of units.

use crate::{
    answer::{Judged, none_of},
    check::Check,
    quote,
    scope::Scope,
};
use diorite_model::hardening::{CONTAINER_EXPOSURE, EXPOSURE};
use diorite_model::recipe::{Alertmanager, NodeExporter, Probe, Prometheus, Recipe};
use std::collections::{BTreeMap, BTreeSet};

/// Everything that `[hardening]` promises.
pub fn checks(scope: &Scope<'_>) -> Vec<Check> {
    let (recipe, hardening) = (scope.recipe, &scope.recipe.hardening);
    let (values, what) = (hardening.sysctl.clone(), "kernel parameters (sysctl) have the declared values");
    let mut all = vec![Check::script("sysctl", what, sysctl_script(&values), move |said| sysctl(&said.text, &values))];
    let words = [&hardening.command_line[..], &recipe.kernel.command_line].concat();
    let what = "the kernel command line has the declared parameters";
    all.push(Check::script("command-line", what, "cat /proc/cmdline", move |said| command_line(&said.text, &words)));
    let (names, what) = (hardening.blocked_modules.clone(), "blocked kernel modules cannot be loaded");
    all.push(Check::script("modules-blocked", what, modules_script(&names), move |said| modules(&said.text, &names)));
    let sudo = recipe.access.anybody_has_sudo().then(|| "/usr/bin/sudo".to_owned());
    let allowed: BTreeSet<String> = sudo.into_iter().chain(hardening.setuid.iter().map(|s| s.path.clone())).collect();
    let (what, find) = ("only declared programs are setuid or setgid", "find / -xdev -type f -perm /6000; echo done");
    all.push(Check::script("setuid", what, find, move |said| setuid(&said.text, &allowed)));
    let excepted: BTreeSet<String> = hardening.exceptions.iter().filter_map(|e| e.unit.clone()).collect();
    let what = "the security exposure of systemd units is within its limits";
    let limits = exposure_limits(recipe);
    let script = exposure_script(&limits);
    all.push(Check::script("exposure", what, script, move |said| exposure(&said.text, &limits, &excepted)));
    all
}

/// What [`sysctl`] reads. One program for all: starting one is dear under emulation.
fn sysctl_script(values: &BTreeMap<String, String>) -> String {
    let paths: Vec<String> = values.keys().map(|name| sysctl_path(name)).collect();
    format!("cd /proc/sys; grep -H '' -- {} 2>&1", quote::words(&paths))
}

/// What [`modules`] reads.
fn modules_script(names: &[String]) -> String {
    let names = quote::words(names);
    format!(
        "for name in {names}; do modprobe -- \"$name\" 2>/dev/null; echo \"$name $?\"; done; \
         modinfo -n -- {names} 2>/dev/null; sed 's/ .*//;s/^/loaded:/' /proc/modules"
    )
}

/// The rows of [`EXPOSURE`] that this recipe has units for, and its containers, which Quadlet makes units of. A daemon that was
/// only named as a package runs as Debian made it.
fn exposure_limits(recipe: &Recipe) -> Vec<(String, u32)> {
    let monitoring = &recipe.monitoring;
    let ours = [
        (NodeExporter::UNIT, monitoring.node_exporter.is_some()),
        (Prometheus::UNIT, monitoring.prometheus.is_some()),
        (Probe::UNIT, !monitoring.probes.is_empty()),
        (Alertmanager::UNIT, monitoring.alertmanager.is_some()),
    ];
    let foreign = |name: &str| ours.iter().any(|(unit, declared)| *unit == name && !declared);
    let containers = recipe.containers.keys().map(|name| (format!("{name}.service"), CONTAINER_EXPOSURE));
    let ours = EXPOSURE.into_iter().filter(|(name, _)| !foreign(name)).map(|(name, limit)| (name.to_owned(), limit));
    containers.chain(ours).collect()
}

/// What [`exposure`] reads. Without names it leaves out what ends by itself, and takes half a minute under emulation.
fn exposure_script(limits: &[(String, u32)]) -> String {
    let named: Vec<&String> = limits.iter().map(|(name, _)| name).filter(|name| *name != "*").collect();
    format!(
        "cd /etc/systemd/system; for unit in {} $(find . -maxdepth 1 -type f -name '*.service' -printf '%f '); do \
         systemctl cat \"$unit\" >/dev/null 2>&1 && systemd-analyze security --no-pager \"$unit\" | grep ' Overall '; \
         done",
        quote::words(named)
    )
}

/// Below /proc/sys; in a name a dot separates and a slash stands for a dot, sysctl.d(5).
fn sysctl_path(name: &str) -> String {
    name.chars()
        .map(|c| match c {
            '.' => '/',
            '/' => '.',
            c => c,
        })
        .collect()
}

/// `PATH:VALUE` for each.
fn sysctl(text: &str, values: &BTreeMap<String, String>) -> Judged {
    let seen: BTreeMap<&str, Vec<&str>> =
        text.lines().filter_map(|l| l.split_once(':')).map(|(n, v)| (n, v.split_whitespace().collect())).collect();
    let wrong = values.iter().filter_map(|(name, value)| {
        let seen = seen.get(sysctl_path(name).as_str());
        let right = seen.is_some_and(|v| *v == value.split(' ').collect::<Vec<_>>());
        let words = || format!("{name} is {} and not {value}", seen.map_or("unknown".into(), |v| v.join(" ")));
        (!right).then(words)
    });
    none_of(&wrong.collect::<Vec<_>>(), format!("{} values", values.len()))
}

fn command_line(text: &str, words: &[String]) -> Judged {
    let said: BTreeSet<&str> = text.split_whitespace().collect();
    let wrong: Vec<String> =
        words.iter().filter(|w| !said.contains(w.as_str())).map(|w| format!("not said: {w}")).collect();
    match said.iter().any(|w| w.starts_with("roothash=")) {
        true => none_of(&wrong, words.join(" ")),
        false => Err("the command line cannot be read".into()),
    }
}

/// `NAME STATUS` for each, the files of those that are in the image, and `loaded:NAME` for those that are in the kernel.
fn modules(text: &str, names: &[String]) -> Judged {
    let same = |a: &str, b: &str| a.replace('-', "_") == b.replace('-', "_");
    let mut wrong = Vec::new();
    for name in names {
        match text.lines().filter_map(|l| l.split_once(' ')).find(|(said, _)| said == name) {
            None => wrong.push(format!("{name} was not asked")),
            Some((_, "0")) => wrong.push(format!("{name} loads")),
            Some(_) => {}
        }
        if text.lines().filter_map(|l| l.strip_prefix("loaded:")).any(|l| same(l, name)) {
            wrong.push(format!("{name} is loaded"));
        }
    }
    let there = text.lines().filter(|l| l.starts_with('/')).count();
    if there == 0 && !names.is_empty() && wrong.is_empty() {
        return Err("none of them is in the image, so nothing is proven".into());
    }
    none_of(&wrong, format!("{} refused, {there} of them in the image", names.len()))
}

fn setuid(text: &str, allowed: &BTreeSet<String>) -> Judged {
    if text.lines().last() != Some("done") {
        return Err("the search did not end".into());
    }
    let found: Vec<&str> = text.lines().filter(|l| l.starts_with('/')).collect();
    let wrong: Vec<String> = found.iter().filter(|f| !allowed.contains(**f)).map(|f| (*f).to_owned()).collect();
    none_of(&wrong, if found.is_empty() { "none".into() } else { found.join(", ") })
}

/// `→ Overall exposure level for UNIT: SCORE WORD` for each unit, systemd-analyze(1).
fn exposure(text: &str, limits: &[(String, u32)], excepted: &BTreeSet<String>) -> Judged {
    let (mut wrong, mut told) = (Vec::new(), Vec::new());
    for line in text.lines() {
        let words = line.split_once(" Overall exposure level for ").map(|(_, words)| words.split_once(": "));
        let Some(Some((unit, rest))) = words else { return Err(format!("systemd-analyze says: {line}")) };
        let score = rest.split(' ').next().unwrap_or_default();
        let tenths = score.parse::<f64>().map_err(|_| line.to_owned())? * 10.0;
        let row = limits.iter().find(|(name, _)| *name == unit).or(limits.last()).ok_or("no unit has a limit")?;
        if excepted.contains(unit) {
            told.push(format!("{unit} {score} by exception"));
        } else if tenths > f64::from(row.1) + 0.01 {
            wrong.push(format!("{unit} is exposed {score}, at most {:.1}", f64::from(row.1) / 10.0));
        } else {
            told.push(format!("{unit} {score}"));
        }
    }
    // The secure shell is in every image, and so are units of ours.
    match told.len() + wrong.len() > 1 {
        true => none_of(&wrong, told.join(", ")),
        false => Err("no unit was judged".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings<'a>(list: &[&'a str]) -> Vec<String> {
        list.iter().map(|s: &&'a str| (*s).to_owned()).collect()
    }

    #[test]
    fn the_kernel() {
        let values = BTreeMap::from([("a.b".to_owned(), "4 8".to_owned()), ("c.d".to_owned(), "1".to_owned())]);
        assert!(sysctl("a/b:4\t8\nc/d:1", &values).is_ok());
        assert_eq!(sysctl_path("net.ipv4.conf.eth0/1.forwarding"), "net/ipv4/conf/eth0.1/forwarding");
        for bad in ["a/b:4 8\nc/d:0", "a/b:4 8", "a/b:4 8\ngrep: c/d: No such file or directory"] {
            assert!(sysctl(bad, &values).is_err(), "{bad}");
        }
        let words = strings(&["slab_nomerge"]);
        assert!(command_line("roothash=00 ro slab_nomerge", &words).is_ok());
        assert!(command_line("roothash=00 ro", &words).is_err() && command_line("", &[]).is_err());
        let names = strings(&["sctp", "af-key"]);
        assert!(modules("sctp 1\naf-key 1\n/lib/sctp.ko\nloaded:ext4", &names).is_ok());
        for bad in [
            "sctp 0\naf-key 1\n/lib/sctp.ko",
            "sctp 1\n/lib/sctp.ko",
            "sctp 1\naf-key 1\n/lib/sctp.ko\nloaded:af_key",
            "sctp 1\naf-key 1",
        ] {
            assert!(modules(bad, &names).is_err(), "{bad}");
        }
    }

    #[test]
    fn privileges() {
        let allowed = BTreeSet::from(["/usr/bin/sudo".to_owned()]);
        assert!(setuid("/usr/bin/sudo\ndone", &allowed).is_ok() && setuid("done", &allowed).is_ok());
        assert!(setuid("/usr/bin/sudo\n/usr/bin/su\ndone", &allowed).is_err() && setuid("", &allowed).is_err());
        let none = BTreeSet::new();
        let limits: Vec<_> = EXPOSURE.into_iter().map(|(name, limit)| (name.to_owned(), limit)).collect();
        let table = |ssh: &str, ours: &str| {
            let line = |unit: &str, score: &str| format!("\u{2192} Overall exposure level for {unit}: {score} OK x");
            format!("{}\n{}", line("ssh.service", ssh), line("a.service", ours))
        };
        assert_eq!(exposure(&table("7.0", "3.0"), &limits, &none), Ok("ssh.service 7.0, a.service 3.0".into()));
        assert!(
            exposure(&table("7.1", "3.0"), &limits, &none).is_err()
                && exposure(&table("7.0", "3.1"), &limits, &none).is_err()
        );
        let excepted = BTreeSet::from(["a.service".to_owned()]);
        assert!(exposure(&table("7.0", "9.0"), &limits, &excepted).is_ok());
        let one = table("7.0", "3.0").lines().next().unwrap().to_owned();
        assert!(
            exposure(&one, &limits, &none).is_err()
                && exposure("", &limits, &none).is_err()
                && exposure("no such unit", &limits, &none).is_err()
        );
    }

    #[test]
    fn names_are_words() {
        quote::tests::harmless(|hostile| sysctl_script(&BTreeMap::from([(hostile.to_owned(), "1".to_owned())])));
        quote::tests::harmless(|hostile| modules_script(&[hostile.to_owned()]));
    }

    #[test]
    fn a_daemon_of_a_package_is_as_debian_made_it() {
        let mut recipe = crate::scope::tests::server();
        let names = |recipe: &Recipe| exposure_limits(recipe).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(names(&recipe), ["web.service", "ssh.service", NodeExporter::UNIT, "*"]);
        recipe.monitoring.node_exporter = None;
        recipe.containers.clear();
        assert_eq!(names(&recipe), ["ssh.service", "*"]);
    }
}
