//! Answers → verdicts, without asking anybody: every judge here has a test in which it finds the fault it is for.

mod firewall;

pub use firewall::{counters, image_info, image_metrics, kept, limited, rules_stay, sweep, watched};

use crate::plan::{Expected, Person};
use diorite_lab::{HttpReply, PortVerdict, Scan};
use diorite_machine::Output;
use diorite_model::Digest;
use diorite_model::base64;
use diorite_model::recipe::Sudo;
use std::time::Duration;

/// What was seen, as it must be (`Ok`) or not (`Err`).
pub type Judged = Result<String, String>;

pub(crate) fn verdict(good: bool, seen: impl Into<String>) -> Judged {
    if good { Ok(seen.into()) } else { Err(seen.into()) }
}

/// The first lines of an output, for people.
pub(crate) fn short(text: &str) -> String {
    let lines: Vec<&str> = text.lines().take(6).collect();
    let joined = lines.join("; ");
    if joined.is_empty() { "nothing".to_owned() } else { joined.chars().take(300).collect() }
}

/// An echo came back.
pub fn ping(time: Option<Duration>) -> Judged {
    match time {
        Some(time) => Ok(format!("reply after {:.1} ms", time.as_secs_f64() * 1000.0)),
        None => Err("no reply".to_owned()),
    }
}

/// One port of a finished scan.
pub fn port(scan: &Scan, port: u16, expected: Expected) -> Judged {
    let Some(seen) = scan.verdicts.get(&port) else { return Err("not asked".to_owned()) };
    let words = match seen {
        PortVerdict::Open => "open: SYN and ACK",
        PortVerdict::Closed => "closed: RST",
        PortVerdict::Rejected => "rejected: ICMP error",
        PortVerdict::Silent if scan.witnessed => "silent, while an echo request behind it was answered",
        PortVerdict::Silent => "silent, but the machine answered no echo request either",
    };
    let good = match expected {
        Expected::Open => *seen == PortVerdict::Open,
        Expected::Admitted => matches!(seen, PortVerdict::Open | PortVerdict::Closed),
    };
    verdict(good, words)
}

/// RFC 4253 §4.2.
pub fn ssh_banner(line: &Result<String, String>) -> Judged {
    match line {
        Ok(line) => verdict(line.starts_with("SSH-2.0-"), line.clone()),
        Err(why) => Err(why.clone()),
    }
}

/// What ssh-keygen(1) calls a key in public.
pub fn fingerprint(key: &[u8]) -> String {
    format!("SHA256:{}", base64::encode(&Digest::of(key).0).trim_end_matches('='))
}

/// The fingerprints of two machines' host keys, or why one showed none.
pub fn clones(one: &Judged, other: &Judged) -> Judged {
    match (one, other) {
        (Ok(one), Ok(other)) if one == other => Err(format!("both have {one}")),
        (Ok(one), Ok(other)) => Ok(format!("{one} and {other}")),
        (Err(why), _) | (_, Err(why)) => Err(format!("one shows no key: {why}")),
    }
}

/// Any successful page.
pub fn http(reply: &Result<HttpReply, String>) -> Judged {
    match reply {
        Ok(page) => verdict(page.status == 200, format!("status {}, {} bytes", page.status, page.body.len())),
        Err(why) => Err(why.clone()),
    }
}

/// Prometheus' text format, with what node-exporter always has and what the image says of itself.
pub fn metrics(reply: &Result<HttpReply, String>) -> Judged {
    let page = reply.as_ref().map_err(Clone::clone)?;
    let text = String::from_utf8_lossy(&page.body);
    let samples = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).count();
    let says = |start: &str| text.lines().any(|line| line.starts_with(start));
    let seen = format!("status {}, {samples} samples", page.status);
    let missing = ["node_uname_info{", "diorite_image_info{"].into_iter().find(|start| !says(start));
    match (page.status == 200 && samples > 0, missing) {
        (true, None) => Ok(seen),
        (true, Some(start)) => Err(format!("{seen}, but no {}", start.trim_end_matches('{'))),
        _ => Err(seen),
    }
}

/// `systemctl is-system-running`, systemctl(1).
pub fn running(output: &Output) -> Judged {
    verdict(output.text.trim() == "running", short(&output.text))
}

/// The faults that the console has told of, and kernel.tainted where somebody inside could be asked (the kernel's
/// Documentation/admin-guide/tainted-kernels.rst).
pub fn kernel(told: Option<String>, tainted: Option<&Output>) -> Judged {
    const LETTERS: &[u8] = b"PFSRMBUDAWCIOELKXTNJ";
    // A soft lockup: on a host that lets the machine wait for seconds it says nothing about the machine.
    const LOCKUP: u64 = 1 << 14;
    if let Some(line) = told {
        return Err(line);
    }
    let Some(output) = tainted else { return Ok("none on the console".to_owned()) };
    let Ok(bits) = output.text.trim().parse::<u64>() else { return Err(short(&output.text)) };
    let letter = |bit: usize| LETTERS.get(bit).map_or('?', |l| char::from(*l));
    let set: String = (0..64).filter(|bit| bits >> bit & 1 == 1).map(letter).collect();
    verdict(
        bits & !LOCKUP == 0,
        if set.is_empty() { "untainted".to_owned() } else { format!("tainted: {set} ({bits})") },
    )
}

/// `systemctl list-units --failed --no-legend --plain`.
pub fn no_failed_unit(output: &Output) -> Judged {
    match output.success() && output.text.is_empty() {
        true => Ok("none".to_owned()),
        false => Err(short(&output.text)),
    }
}

/// The line of a mount point in /proc/mounts, proc(5): device, file-system type, options. The last one is on top.
pub(crate) fn mount<'a>(mounts: &'a str, point: &str) -> Option<(&'a str, &'a str, Vec<&'a str>)> {
    mounts.lines().rev().find_map(|line| {
        let words: Vec<&str> = line.split(' ').collect();
        (words.len() >= 4 && words[1] == point).then(|| (words[0], words[2], words[3].split(',').collect()))
    })
}

/// /proc/mounts, then a line `dm:UUID` with the root device's dm/uuid from sysfs (dm-verity's begin with
/// `CRYPT-VERITY-`).
pub fn root(output: &Output) -> Judged {
    let Some((device, kind, options)) = mount(&output.text, "/") else { return Err(short(&output.text)) };
    let uuid = output.text.lines().find_map(|line| line.strip_prefix("dm:")).unwrap_or("none");
    let good = kind == "erofs" && options.contains(&"ro") && uuid.starts_with("CRYPT-VERITY-");
    verdict(good, format!("{device} {kind} {}, device mapper {uuid}", options.join(",")))
}

/// A command that must fail because the file system is read-only (EROFS, errno(3)).
pub fn refused(output: &Output) -> Judged {
    let read_only = output.text.contains("Read-only file system") || output.text.contains("write-protected");
    verdict(!output.success() && read_only, short(&output.text))
}

/// `ls -d /sys/module/NAME`: it is there when the module is loaded or built in.
pub fn module(output: &Output) -> Judged {
    verdict(output.success(), short(&output.text))
}

/// `systemctl show` of a service, and of its timer behind it, systemctl(1).
pub fn service(output: &Output, timer: bool) -> Judged {
    let said = |key: &str| output.text.lines().filter_map(|l| l.strip_prefix(key)).collect::<Vec<_>>();
    let (active, results) = (said("ActiveState="), said("Result="));
    let service =
        active.first().is_some_and(|a| if timer { *a != "failed" } else { *a == "active" || *a == "inactive" });
    let fine = service && results.iter().all(|r| *r == "success") && said("ExecMainStatus=").first() == Some(&"0");
    let waiting = !timer || active.get(1) == Some(&"active");
    verdict(fine && waiting, short(&output.text))
}

/// Lines `NAME STATE` of `podman ps --all`, podman-ps(1).
pub fn container(output: &Output, name: &str) -> Judged {
    let state = output.text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    match state {
        Some("running") => Ok("running".to_owned()),
        Some(state) => Err(state.to_owned()),
        None => Err(format!("not there: {}", short(&output.text))),
    }
}

/// Lines with a word before them: passwd(5), shadow(5), the home's owner, mode and type, the keys, `sshd -T` for this
/// user, and the number that sudo(8) gave.
pub fn administrator(output: &Output, person: &Person) -> Judged {
    let said = |word: &str| output.text.lines().filter_map(|l| l.strip_prefix(word)).collect::<Vec<_>>();
    let one = |word: &str| said(word).first().copied().unwrap_or_default().to_owned();
    let (passwd, shadow) = (one("passwd:"), one("shadow:"));
    let field = |line: &str, n: usize| line.split(':').nth(n).unwrap_or_default().to_owned();
    let uid = person.uid.to_string();
    if field(&passwd, 0) != person.name || field(&passwd, 2) != uid {
        return Err(format!("no account {} with number {uid}: {}", person.name, short(&passwd)));
    }
    let password = field(&shadow, 1);
    if !password.starts_with(['!', '*']) {
        return Err("the account is not locked".to_owned());
    }
    let home = one("home:");
    if home != format!("{uid} 700 directory") {
        return Err(format!("the home is not theirs alone: {}", short(&home)));
    }
    if said("key:") != person.keys {
        return Err(format!("{} keys, or others than the {} declared", said("key:").len(), person.keys.len()));
    }
    let sshd = said("sshd:");
    for wanted in [
        format!("authorizedkeysfile {}", person.keys_files).as_str(),
        "authenticationmethods publickey",
        "pubkeyauthentication yes",
        "passwordauthentication no",
        "kbdinteractiveauthentication no",
        // Without PAM sshd(8) lets nobody into an account whose password begins with `!`.
        "usepam yes",
    ] {
        if !sshd.contains(&wanted) {
            return Err(format!("sshd does not say `{wanted}` for {}", person.name));
        }
    }
    if said("principal:") != person.principals {
        return Err(format!("other names in certificates than the {} declared", person.principals.len()));
    }
    let known = format!("uid {uid}, {} keys", person.keys.len());
    let (root, listed) = (one("sudo:"), said("listed:"));
    match &person.sudo {
        None => Ok(format!("{known}, sudo by a group")),
        Some(Sudo::All) if root == "0" => Ok(format!("{known}, root by sudo")),
        Some(Sudo::All) => Err(format!("sudo gives {}", short(&root))),
        Some(Sudo::None) if root.is_empty() => Ok(format!("{known}, no sudo")),
        Some(Sudo::None) => Err(format!("sudo lets them be {}", short(&root))),
        Some(Sudo::Commands(list)) => {
            let id = list.iter().any(|c| c.run == "/usr/bin/id");
            if listed.len() != list.len() || listed.iter().any(|status| *status != "0") {
                return Err(format!(
                    "sudo allows {} of {} commands",
                    listed.iter().filter(|s| **s == "0").count(),
                    list.len()
                ));
            }
            match root.is_empty() || id {
                true => Ok(format!("{known}, {} commands by sudo", list.len())),
                false => Err("sudo allows what is not listed".to_owned()),
            }
        }
    }
}

/// A command that succeeds and prints exactly this.
pub fn says(output: &Output, expected: &str) -> Judged {
    verdict(output.success() && output.text.trim() == expected, short(&output.text))
}

/// What the console said from the power button to the end.
pub fn power_off(said: &[String], took: Duration) -> Judged {
    let seconds = took.as_secs_f64();
    let wrong = |l: &&String| ["Failed unmounting", "Failed to unmount", "Timed out"].iter().any(|w| l.contains(w));
    match (said.iter().find(wrong), said.iter().any(|l| l.contains("reboot: Power down"))) {
        (None, true) => Ok(format!("{seconds:.1} s after the power button")),
        (Some(line), _) => Err(line.clone()),
        (None, false) => Err(format!("the machine ended after {seconds:.1} s, and its kernel did not say so")),
    }
}

/// Names in /EFI/Linux of the boot partition: `NAME+LEFT-DONE.efi` counts tries, systemd-boot(7).
pub fn blessed(output: &Output) -> Judged {
    let entries: Vec<&str> = output.text.lines().filter(|line| line.ends_with(".efi")).collect();
    let good = !entries.is_empty() && entries.iter().all(|name| !name.contains('+'));
    verdict(good, short(&output.text))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_kernel_tells_of_its_faults() {
        let said = |text: &str| Output { status: 0, text: text.to_owned() };
        assert_eq!(kernel(None, Some(&said("0"))), Ok("untainted".into()));
        assert_eq!(kernel(None, None), Ok("none on the console".into()));
        assert_eq!(kernel(None, Some(&said("640"))), Err("tainted: DW (640)".into()));
        assert!(kernel(None, Some(&said("16384"))).is_ok(), "a soft lockup alone");
        assert!(kernel(None, Some(&said("cat: no"))).is_err());
        let oops = "Oops: invalid opcode: 0000 [#1] PREEMPT SMP NOPTI";
        assert_eq!(kernel(Some(oops.into()), Some(&said("0"))), Err(oops.into()));
    }

    use super::*;
    use diorite_model::recipe::Command;

    fn out(status: i32, text: &str) -> Output {
        Output { status, text: text.to_owned() }
    }

    fn scan(seen: PortVerdict, witnessed: bool) -> Scan {
        Scan { verdicts: [(80, seen)].into(), witnessed, rounds: 3, took: Duration::ZERO }
    }

    #[test]
    fn services_and_modules() {
        let said = |active: &str, result: &str, status: &str| {
            format!("Result={result}\nExecMainStatus={status}\nActiveState={active}\n")
        };
        let (runs, ended) = (said("active", "success", "0"), said("inactive", "success", "0"));
        assert!(service(&out(0, &runs), false).is_ok() && service(&out(0, &ended), false).is_ok());
        assert!(service(&out(0, &said("failed", "exit-code", "1")), false).is_err());
        assert!(service(&out(0, &said("activating", "exit-code", "0")), false).is_err(), "it restarts for ever");
        assert!(service(&out(0, "ActiveState=inactive\n"), false).is_err(), "there is no such unit");
        assert!(service(&out(0, &format!("{ended}\nActiveState=active\nResult=success\n")), true).is_ok());
        assert!(service(&out(0, &format!("{ended}\nActiveState=inactive\nResult=success\n")), true).is_err());
        assert!(module(&out(0, "/sys/module/nf_conntrack")).is_ok() && module(&out(2, "")).is_err());
    }

    #[test]
    fn ports() {
        use PortVerdict::*;
        let good = |seen, expected| port(&scan(seen, true), 80, expected).is_ok();
        assert!(good(Open, Expected::Open) && good(Open, Expected::Admitted) && good(Closed, Expected::Admitted));
        for (seen, expected) in [
            (Closed, Expected::Open),
            (Silent, Expected::Open),
            (Rejected, Expected::Admitted),
            (Silent, Expected::Admitted),
        ] {
            assert!(!good(seen, expected), "{seen:?} is not {expected:?}");
        }
        assert!(port(&scan(Open, true), 81, Expected::Open).is_err(), "a port that was not asked");
    }

    #[test]
    fn an_end_that_is_none_is_seen() {
        let said = |line: &str| [line.to_owned(), "[   90.1] reboot: Power down".to_owned()];
        let took = Duration::from_secs(5);
        assert_eq!(power_off(&said("Unmounted var.mount"), took), Ok("5.0 s after the power button".into()));
        assert!(power_off(&said("[FAILED] Failed unmounting var.mount"), took).is_err());
        assert!(power_off(&[], took).is_err(), "the plug was pulled");
    }

    #[test]
    fn words_from_the_wire() {
        assert!(ping(Some(Duration::from_millis(3))).is_ok() && ping(None).is_err());
        assert!(ssh_banner(&Ok("SSH-2.0-OpenSSH_10.0".into())).is_ok());
        assert!(ssh_banner(&Ok("220 smtp".into())).is_err() && ssh_banner(&Err("no connection".into())).is_err());
        assert_eq!(fingerprint(b""), "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU");
        let (one, other) = (Ok("SHA256:a".to_owned()), Ok("SHA256:b".to_owned()));
        assert!(clones(&one, &other).is_ok() && clones(&one, &one).is_err());
        assert!(clones(&one, &Err("silent".into())).is_err() && clones(&Err("silent".into()), &one).is_err());
        let page = |status, body: &str| Ok(HttpReply { status, head: String::new(), body: body.as_bytes().to_vec() });
        assert!(http(&page(200, "hello")).is_ok());
        assert!(http(&page(404, "")).is_err() && http(&Err("silent".into())).is_err());
        let good = "# HELP x\nnode_uname_info{release=\"6\"} 1\ndiorite_image_info{version=\"1\"} 1\n";
        assert_eq!(metrics(&page(200, good)), Ok("status 200, 2 samples".to_owned()));
        let silent = good.replace("diorite_image_info", "up");
        for bad in [
            page(500, good),
            page(200, &silent),
            page(200, "<html>"),
            page(200, "# only comments\n"),
            Err("reset".into()),
        ] {
            assert!(metrics(&bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn systemd() {
        assert!(running(&out(0, "running")).is_ok());
        for bad in ["degraded", "starting", "maintenance", ""] {
            assert!(running(&out(1, bad)).is_err(), "{bad}");
        }
        assert!(no_failed_unit(&out(0, "")).is_ok());
        assert!(no_failed_unit(&out(0, "web.service loaded failed failed web")).is_err());
        assert!(no_failed_unit(&out(127, "")).is_err(), "a systemctl that cannot run proves nothing");
    }

    const MOUNTS: &str = "/dev/mapper/root / erofs ro,relatime,user_xattr 0 0\nproc /proc proc rw 0 0\n\
                          /dev/vda6 /var ext4 rw,nosuid,nodev 0 0\n";

    #[test]
    fn the_root() {
        let with = |mounts: &str, uuid: &str| root(&out(0, &format!("{mounts}dm:{uuid}")));
        assert!(with(MOUNTS, "CRYPT-VERITY-0123-root").is_ok());
        assert!(with(MOUNTS, "CRYPT-LUKS2-0123-root").is_err(), "another mapping");
        assert!(with(MOUNTS, "").is_err(), "no mapping");
        assert!(with(&MOUNTS.replace("erofs ro", "erofs rw"), "CRYPT-VERITY-1").is_err(), "writable");
        assert!(with(&MOUNTS.replace("erofs", "ext4"), "CRYPT-VERITY-1").is_err(), "another file system");
        let covered = format!("{MOUNTS}overlay / overlay rw 0 0\n");
        assert!(with(&covered, "CRYPT-VERITY-1").is_err(), "something writable on top");
    }

    #[test]
    fn refusals() {
        assert!(refused(&out(1, "touch: cannot touch '/etc/x': Read-only file system")).is_ok());
        assert!(refused(&out(32, "mount: /: cannot remount /dev/mapper/root read-write, is write-protected.")).is_ok());
        assert!(refused(&out(0, "")).is_err(), "it was written");
        assert!(refused(&out(1, "touch: No space left on device")).is_err(), "refused for another reason");
    }

    #[test]
    fn administrators() {
        let person = |sudo| Person {
            name: "anna".into(),
            uid: 2000,
            keys: vec!["ssh-ed25519 AAAA anna".into()],
            keys_files: "/etc/ssh/authorized_keys.d/%u".into(),
            principals: vec![],
            sudo: Some(sudo),
        };
        const GOOD: &str = "passwd:anna:x:2000:2000::/home/anna:/bin/bash\nshadow:anna:!*:20370:0:99999:7:::\n\
                            home:2000 700 directory\nkey:ssh-ed25519 AAAA anna\n\
                            sshd:authorizedkeysfile /etc/ssh/authorized_keys.d/%u\n\
                            sshd:authenticationmethods publickey\nsshd:pubkeyauthentication yes\n\
                            sshd:passwordauthentication no\nsshd:kbdinteractiveauthentication no\n\
                            sshd:usepam yes\nsudo:0";
        assert!(administrator(&out(0, GOOD), &person(Sudo::All)).is_ok());
        let none = GOOD.replace("sudo:0", "sudo:");
        assert!(administrator(&out(0, &none), &person(Sudo::None)).is_ok());
        assert!(administrator(&out(0, GOOD), &person(Sudo::None)).is_err(), "none is promised");
        let command = Command { run: "/usr/bin/true".into(), arguments: vec![] };
        let listed = person(Sudo::Commands(vec![command]));
        let with = |more: &str| administrator(&out(0, &format!("{none}\n{more}")), &listed);
        assert!(with("listed:0").is_ok() && with("listed:1").is_err() && with("").is_err());
        assert!(administrator(&out(0, &format!("{GOOD}\nlisted:0")), &listed).is_err(), "more than is listed");
        for (from, to) in [
            ("anna:x:2000", "anna:x:2001"),
            (":!*:", ":$y$j9T$x:"),
            (":!*:", "::"),
            ("home:2000 700", "home:2000 755"),
            ("home:2000", "home:0"),
            ("AAAA", "BBBB"),
            ("\nkey:", "\nkey:another\nkey:"),
            ("authenticationmethods publickey", "authenticationmethods any"),
            ("usepam yes", "usepam no"),
            ("sudo:0", "sudo:sudo: a password is required"),
        ] {
            let bad = GOOD.replacen(from, to, 1);
            assert_ne!(bad, GOOD);
            assert!(administrator(&out(0, &bad), &person(Sudo::All)).is_err(), "{to}");
        }
        assert!(administrator(&out(127, ""), &person(Sudo::All)).is_err(), "an empty answer proves nothing");
    }

    #[test]
    fn words() {
        assert!(says(&out(0, "web\n"), "web").is_ok());
        assert!(says(&out(0, "web2"), "web").is_err() && says(&out(1, "web"), "web").is_err());
    }

    #[test]
    fn containers_and_boot() {
        let ps = out(0, "web running\ndb exited");
        assert!(container(&ps, "web").is_ok());
        assert!(container(&ps, "db").is_err() && container(&ps, "we").is_err() && container(&ps, "cache").is_err());
        assert!(blessed(&out(0, "server_1.efi")).is_ok());
        for bad in ["server_1+3-0.efi", "server_1+2-1.efi", "server_1.efi\nserver_2+3-0.efi", "", "README"] {
            assert!(blessed(&out(0, bad)).is_err(), "{bad}");
        }
    }
}
