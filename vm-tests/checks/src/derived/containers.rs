//! Containers in a booted machine: what is asked of each, and what the answer must be. Everything is seen from the
//! machine's side, through the process's own /proc directory, so that no container needs a program for it.

mod dns;
mod wheels;

use crate::{
    answer::{Judged, short, verdict},
    check::Check,
    placeholders, quote,
    scope::{self, Scope},
    surroundings::Surroundings,
    sweep::Family,
};
use diorite_lab::HttpReply;
use diorite_machine::Output;
use diorite_model::recipe::{Container, Recipe, SecretTo, Volume};
use std::{collections::BTreeMap, net::Ipv4Addr};

/// Each container runs, and is what was declared.
pub fn checks(scope: &Scope<'_>) -> Vec<Check> {
    let runs = scope.recipe.containers.keys().map(|name| {
        let (id, what, name) =
            (format!("container-{name}-running"), format!("container {name} is running"), name.clone());
        Check::script(id, what, "podman ps --all --format '{{.Names}} {{.State}}'", move |said| running(said, &name))
    });
    let as_declared = declared(scope.recipe).map(|container| {
        let what = format!("container {} has the declared isolation, limits and networks", container.name);
        let (id, script) = (format!("container-{}-as-declared", container.name), script(&container));
        Check::script(id, what, script, move |said| judge(said, &container))
    });
    runs.chain(as_declared).chain(dns::checks(scope)).chain(wheels::checks(scope)).collect()
}

/// What containers serve behind their ports.
pub fn pages(scope: &Scope<'_>, family: Family) -> Vec<Check> {
    let published = scope::published(scope.recipe);
    let admitted = scope.admitted(family).into_iter();
    let fits = |port: &u16| published.contains(port) && scope.admits_conversation(family, *port);
    let page = |port: u16| {
        let tls = scope.recipe.certificate_at(port).is_some();
        let protocol = if tls { "HTTPS" } else { "HTTP" };
        let what = format!("the container on port {port} answers {protocol} requests ({})", family.name());
        let id = match family {
            Family::V4 => format!("http-{port}"),
            Family::V6 => format!("http-ipv6-{port}"),
        };
        let check = Check::outside(id, what, move |machine| {
            let address = machine.address(family)?;
            machine.retried(|m| {
                let reply = match tls {
                    true => m.lab().https_get(address, port, None, "/")?.map(|(page, _)| page),
                    false => m.lab().http_get(address, port, "/")?,
                };
                Ok(page(&reply))
            })
        });
        check.over(family)
    };
    admitted.filter(fits).map(page).collect()
}

/// Lines `NAME STATE` of `podman ps --all`, podman-ps(1).
fn running(output: &Output, name: &str) -> Judged {
    let state = output.text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    match state {
        Some("running") => Ok("running".to_owned()),
        Some(state) => Err(state.to_owned()),
        None => Err(format!("not there: {}", short(&output.text))),
    }
}

/// Any successful page; one that is elsewhere is for a browser to find.
fn page(reply: &Result<HttpReply, String>) -> Judged {
    match reply {
        Ok(page) => {
            verdict((200..400).contains(&page.status), format!("status {}, {} bytes", page.status, page.body.len()))
        }
        Err(why) => Err(why.clone()),
    }
}

/// A container as it was declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredContainer {
    /// Its name.
    pub name: String,
    /// The image it must run, by the reference it has in the store.
    pub reference: String,
    /// Everything else.
    pub container: Container,
    /// The directories and mount points of its volumes, by name.
    pub volumes: BTreeMap<String, (String, String)>,
    /// None of its networks has a way out.
    pub inside: bool,
    /// Another host on the machine's network.
    pub neighbour: Ipv4Addr,
}

/// Every container of a recipe.
pub fn declared(recipe: &Recipe) -> impl Iterator<Item = DeclaredContainer> + '_ {
    let neighbour = Surroundings::of(recipe).config.ipv4;
    recipe.containers.iter().map(move |(name, container)| {
        let internal = |n: &String| recipe.container_networks.get(n).is_some_and(|n| n.internal);
        DeclaredContainer {
            name: name.clone(),
            reference: format!("localhost/{name}:{}", recipe.image.version),
            container: container.clone(),
            volumes: container
                .volumes
                .iter()
                .map(|(volume, about)| volume_place(recipe, name, volume, about))
                .collect(),
            inside: !container.networks.is_empty() && container.networks.iter().all(internal),
            neighbour,
        }
    })
}

/// A volume's name, directory on the machine, and the file system it must be on.
fn volume_place(recipe: &Recipe, name: &str, volume: &str, about: &Volume) -> (String, (String, String)) {
    let directory = format!("{}/{volume}", recipe.volumes_directory(name, about));
    let mount = about.mount.as_ref().and_then(|mount| recipe.mounts.get(mount));
    (volume.to_owned(), (directory, mount.map_or("/var".to_owned(), |mount| mount.directory())))
}

/// Its directories in memory with a declared size in bytes.
fn sizes(container: &Container) -> impl Iterator<Item = (&str, u64)> {
    let limits = &container.limits;
    let writable = limits.writable.map(|bytes| container.writable.iter().map(move |path| (path.as_str(), bytes)));
    writable.into_iter().flatten().chain(limits.shm.map(|bytes| ("/dev/shm", bytes)))
}

/// Prints lines `KEY:VALUE` about a container that runs.
pub fn script(declared: &DeclaredContainer) -> String {
    let DeclaredContainer { name, container, neighbour, .. } = declared;
    let health = if container.health.is_some() { "health:{{.State.Health.Status}}\\n" } else { "" };
    let mut text = format!(
        "podman inspect --format 'image:{{{{.ImageName}}}}\\n{health}pid:{{{{.State.Pid}}}}\\n\
         {{{{range .Config.Env}}}}env:{{{{.}}}}\\n{{{{end}}}}' -- {name} >/run/diorite-verify; cat /run/diorite-verify; \
         p=$(sed -n 's/^pid://p' /run/diorite-verify); \
         echo write:$(touch /proc/$p/root/diorite-verify 2>&1); \
         echo ids:$(cat /proc/$p/uid_map); \
         sed -n 's/^\\(CapBnd\\|NoNewPrivs\\|Uid\\):[[:space:]]*/\\1:/p' /proc/$p/status; \
         c=/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/$p/cgroup); \
         [ -e $c/pids.max ] || c=$(dirname $c); \
         for f in memory pids cpu; do echo $f:$(cat $c/$f.max); done; \
         echo route:$(nsenter -t $p -n ip -4 route show default; nsenter -t $p -n ip -6 route show default); \
         echo out:$(timeout 20 nsenter -t $p -n bash -c 'exec 3<>/dev/tcp/{neighbour}/9' 2>&1); ",
        name = quote::word(name),
    );
    if container.limits.open_files.is_some() {
        text += "echo files:$(sed -n 's/^Max open files *//p' /proc/$p/limits); ";
    }
    for path in sizes(container).map(|(path, _)| path) {
        let (word, path) = (quote::word(&format!("memory-{path}:")), quote::word(path));
        text += &format!("echo {word}$(stat -f -c '%b %S' -- /proc/$p/root{path}); ");
    }
    for device in &container.devices {
        let (word, path) = (quote::word(&format!("device-{device}:")), quote::word(device));
        text += &format!("echo {word}$(stat -c %t:%T -- /proc/$p/root{path} {path}); ");
    }
    for (secret, about) in &container.secrets {
        if let SecretTo::File(path) = &about.to {
            let (word, path) = (quote::word(&format!("secret-{secret}:")), quote::word(path));
            text += &format!("echo {word}\"$(stat -c '%u 0%a' /proc/$p/root{path}) $(cat /proc/$p/root{path})\"; ");
        }
    }
    for (volume, about) in &container.volumes {
        let (word, path) = (quote::word(&format!("volume-{volume}:")), quote::word(&about.path));
        let (directory, disk) = &declared.volumes[volume];
        let (directory, disk) = (quote::word(directory), quote::word(disk));
        text += &format!(
            "echo {word}$(stat -c '%u %g 0%a' {directory}) $(mountpoint -d {disk}) \
             $(path={path} awk '$5 == ENVIRON[\"path\"] {{print $3}}' /proc/$p/mountinfo) \
             $(touch /proc/$p/root{path}/.diorite-verify 2>&1; ls {directory}/.diorite-verify 2>&1); "
        );
    }
    text
}

/// The answers of [`script`].
pub fn judge(output: &Output, declared: &DeclaredContainer) -> Judged {
    let container = &declared.container;
    let all =
        |key: &str| output.text.lines().filter_map(|l| l.strip_prefix(key)?.strip_prefix(':')).collect::<Vec<_>>();
    let one = |key: &str| all(key).first().copied().unwrap_or_default().trim().to_owned();
    let must = |good: bool, what: &str, seen: String| if good { Ok(()) } else { Err(format!("{what}: {seen}")) };
    must(!one("image").is_empty(), "it is not there", output.text.chars().take(200).collect())?;
    must(one("image") == declared.reference, "it runs another image", one("image"))?;
    if container.health.is_some() {
        must(one("health") == "healthy", "it is not healthy", one("health"))?;
    }
    must(one("write").contains("Read-only file system"), "its root takes a new file", one("write"))?;
    let ids: Vec<String> = one("ids").split_whitespace().map(str::to_owned).collect();
    let uid: Option<u64> = one("Uid").split_whitespace().next().and_then(|n| n.parse().ok());
    match container.ids {
        Some(first) => {
            must(ids == ["0".to_owned(), first.to_string(), "65536".to_owned()], "its users are others", one("ids"))?;
            let range = u64::from(first)..u64::from(first) + 65_536;
            must(uid.is_some_and(|u| range.contains(&u)), "it runs as a user outside its range", one("Uid"))?;
        }
        None => must(ids.first().is_some_and(|f| f == "0") && uid.is_some(), "it has a namespace", one("ids"))?,
    }
    let kept = u64::from_str_radix(&one("CapBnd"), 16).map(u64::count_ones);
    let most = u32::try_from(container.capabilities.len()).unwrap_or(u32::MAX);
    must(kept.is_ok_and(|n| n == most), "it keeps other capabilities than the declared", one("CapBnd"))?;
    must(one("NoNewPrivs") == "1", "it may gain privileges", one("NoNewPrivs"))?;
    let env = all("env");
    for (key, value) in &container.environment {
        must(env.contains(&format!("{key}={value}").as_str()), "a variable is not as declared", key.clone())?;
    }
    for (secret, about) in &container.secrets {
        let value = placeholders::value(&about.credential);
        match &about.to {
            SecretTo::Environment(variable) => {
                must(
                    env.contains(&format!("{variable}={value}").as_str()),
                    "a secret is not its credential",
                    secret.clone(),
                )?;
            }
            SecretTo::File(_) => {
                let seen = one(&format!("secret-{secret}"));
                let words: Vec<&str> = seen.splitn(3, ' ').collect();
                must(words.get(2) == Some(&value.as_str()), "a secret is not its credential", secret.clone())?;
                let own = words[1] == "0400" && words[0].parse().ok() == uid;
                must(own, "a secret is for others as well", format!("{secret} {} {}", words[0], words[1]))?;
            }
        }
    }
    must(one("pids") == container.limits.pids.to_string(), "it may have other processes", one("pids"))?;
    let memory = container.limits.memory.map_or("max".to_owned(), |m| m.to_string());
    must(one("memory") == memory, "it may use other memory", one("memory"))?;
    if let Some(cpus) = container.limits.cpus {
        must(one("cpu") == format!("{} 100000", u64::from(cpus) * 100), "it may use other time", one("cpu"))?;
    }
    if let Some(most) = container.limits.open_files {
        let fine = one("files").split_whitespace().next() == Some(most.to_string().as_str());
        must(fine, "it may open other numbers of files", one("files"))?;
    }
    for (path, bytes) in sizes(container) {
        let seen = one(&format!("memory-{path}"));
        let numbers: Vec<u64> = seen.split(' ').filter_map(|n| n.parse().ok()).collect();
        must(
            numbers.iter().product::<u64>() == bytes && numbers.len() == 2,
            "a size is another",
            format!("{path} {seen}"),
        )?;
    }
    for device in &container.devices {
        let seen = one(&format!("device-{device}"));
        let both: Vec<&str> = seen.split(' ').collect();
        must(matches!(both[..], [one, other] if one == other), "a device is not there", format!("{device} {seen}"))?;
    }
    let unreachable = one("out").contains("Network is unreachable");
    match declared.inside {
        true => must(one("route").is_empty() && unreachable, "it has a way out", one("route") + " " + &one("out"))?,
        // The other way round: else a machine that could not be asked would count as one without a way out.
        false => must(!one("route").is_empty() && !unreachable, "it has no way out", one("out"))?,
    }
    for (volume, about) in &container.volumes {
        let seen = one(&format!("volume-{volume}"));
        let words: Vec<&str> = seen.splitn(6, ' ').collect();
        let [uid, _, mode, state, inside, written] = words[..] else {
            return Err(format!("volume {volume} is not there: {seen}"));
        };
        let first = container.ids.unwrap_or(0);
        let owned = uid.parse::<u32>().is_ok_and(|u| u >= first && u - first < 65_536);
        must(owned && mode == about.mode, "a volume has another owner or mode", format!("{volume} {uid} {mode}"))?;
        let disk = &declared.volumes[volume].1;
        must(state == inside, "a volume is on another disk", format!("{volume} {inside}, {disk} is {state}"))?;
        let refused = written.contains("Read-only file system");
        must(refused == about.read_only, "a volume can be written, or cannot", format!("{volume} {written}"))?;
        must(refused || !written.contains("No such file"), "a volume shows another directory", volume.clone())?;
    }
    let users = container.ids.map_or("the machine's users".to_owned(), |first| format!("users from {first}"));
    let secrets = match container.secrets.len() {
        0 => String::new(),
        n => format!(", {n} secrets"),
    };
    Ok(format!("{}, {users}, {} capabilities, {} volumes{secrets}", one("image"), most, container.volumes.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{quote::tests::harmless, scope::tests::server};
    use diorite_model::recipe::{ContainerNetwork, Health, Secret, Volume};

    const GOOD: &str = "image:localhost/web:1\nhealth:healthy\npid:77\nenv:PATH=/bin\nenv:A=b c\nenv:TOKEN=stands in for token: 100% $x\n\
        write:touch: cannot touch '/proc/77/root/diorite-verify': Read-only file system\nids:0 600000 65536\n\
        Uid:665534\t665534\t665534\t665534\nCapBnd:0000000000000400\nNoNewPrivs:1\nmemory:67108864\npids:64\n\
        cpu:50000 100000\nroute:\nout:bash: connect: Network is unreachable\n\
        secret-key:665534 0400 stands in for web.key: 100% $x\n\
        volume-data:665534 665534 0700 254:6 254:6 /var/lib/diorite/containers/web/data/.diorite-verify";

    fn web() -> DeclaredContainer {
        let mut recipe = server();
        let web = recipe.containers.get_mut("web").unwrap();
        web.ids = Some(600_000);
        web.environment = [("A".to_owned(), "b c".to_owned())].into();
        let secret = |credential: &str, to| Secret { credential: credential.into(), to };
        web.secrets = [
            ("key".to_owned(), secret("web.key", SecretTo::File("/run/secrets/key".into()))),
            ("token".to_owned(), secret("token", SecretTo::Environment("TOKEN".into()))),
        ]
        .into();
        web.capabilities = vec!["NET_BIND_SERVICE".into()];
        web.limits.memory = Some(64 << 20);
        web.limits.cpus = Some(500);
        web.limits.pids = 64;
        web.networks = vec!["back".into()];
        web.health = Some(Health { command: vec![], interval: 1, timeout: 1, retries: 1, start_period: 0 });
        let volume = Volume { path: "/data".into(), owner: None, mode: "0700".into(), read_only: false, mount: None };
        web.volumes = [("data".to_owned(), volume)].into();
        let network = ContainerNetwork { internal: true, subnet: "10.89.0.0/24".into() };
        recipe.container_networks = [("back".to_owned(), network)].into();
        declared(&recipe).next().unwrap()
    }

    fn seen(text: &str) -> Judged {
        judge(&Output { status: 0, text: text.to_owned() }, &web())
    }

    #[test]
    fn every_promise_is_judged() {
        assert_eq!(
            seen(GOOD),
            Ok("localhost/web:1, users from 600000, 1 capabilities, 1 volumes, 2 secrets".to_owned())
        );
        for (from, to) in [
            ("localhost/web:1", "localhost/web:2"),
            ("healthy", "starting"),
            ("Read-only file system", ""),
            ("ids:0 600000", "ids:0 0"),
            ("Uid:665534", "Uid:0"),
            ("0000000000000400", "00000000a80425fb"),
            ("NoNewPrivs:1", "NoNewPrivs:0"),
            ("A=b c", "A=b"),
            ("for web.key", "for another"),
            ("for token", "for another"),
            ("secret-key:665534 0400", "secret-key:665534 0444"),
            ("secret-key:665534 0400", "secret-key:0 0400"),
            ("secret-key:665534 0400 stands in for web.key: 100% $x\n", ""),
            ("pids:64", "pids:max"),
            ("memory:67108864", "memory:max"),
            ("cpu:50000", "cpu:max"),
            ("route:", "route:default via 10.89.0.1 dev eth0"),
            ("Network is unreachable", "Connection refused"),
            ("volume-data:665534", "volume-data:0"),
            ("0700", "0755"),
            ("254:6 254:6", "254:6 0:33"),
            ("web/data/.diorite-verify", "web/data/.diorite-verify: Read-only file system"),
            ("web/data/.diorite-verify", "web/data/.diorite-verify: No such file or directory"),
        ] {
            assert!(GOOD.contains(from), "{from}");
            assert!(seen(&GOOD.replace(from, to)).is_err(), "{to}");
        }
        assert!(seen("").is_err(), "an empty answer proves nothing");
    }

    #[test]
    fn one_that_does_not_run_is_seen() {
        let ps = Output { status: 0, text: "web running\ndb exited".to_owned() };
        assert!(running(&ps, "web").is_ok());
        assert!(running(&ps, "db").is_err() && running(&ps, "we").is_err() && running(&ps, "cache").is_err());
    }

    #[test]
    fn names_and_paths_are_words() {
        harmless(|hostile| {
            let mut web = web();
            let (volume, text) = (web.container.volumes["data"].clone(), || hostile.to_owned());
            web.container.volumes = [(text(), Volume { path: text(), ..volume })].into();
            web.volumes = [(text(), (text(), text()))].into();
            web.container.secrets = [(text(), Secret { credential: text(), to: SecretTo::File(text()) })].into();
            script(&DeclaredContainer { name: text(), ..web })
        });
    }
}
