//! Mounts: each is where the profile says, is what it says, and a file server is asked when somebody looks.

use crate::{
    answer::{Judged, Unanswered, short, verdict},
    check::Check,
    output::mount as mounted,
    quote,
    scope::Scope,
};
use diorite_lab::{Record, Utterance};
use diorite_machine::Output;
use diorite_model::recipe::{DiskName, Mount, MountSource, MountTime, real};
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr},
};

/// Each mount as it is once the system has settled.
pub fn checks(scope: &Scope<'_>) -> Vec<Check> {
    scope.recipe.mounts.iter().map(|(name, mount)| one(name, mount)).collect()
}

fn one(name: &str, about: &Mount) -> Check {
    let (id, path) = (format!("mount-{name}"), &about.path);
    let about = about.clone();
    if about.when == MountTime::Access {
        let what = format!("{path} is mounted when it is used, from what is declared");
        return Check::script(id, what, waiting_script(&about), move |said| waiting(said, &about));
    }
    match &about.source {
        MountSource::Bind(from) => {
            let what = format!("{path} shows {from}");
            Check::script(id, what, bind_script(&about, from), move |said| bound(said, &about))
        }
        _ => {
            let what = format!("{path} is on its disk, with {}", about.filesystem());
            Check::script(id, what, disk_script(name, &about), move |said| on_disk(said, &about))
        }
    }
}

/// A look into the directory of each mount from the network begins a connection to its server.
pub fn servers(scope: &Scope<'_>) -> Vec<Check> {
    let far = scope.recipe.mounts.iter().filter(|(_, mount)| mount.server().is_some());
    far.map(|(name, about)| {
        let (server, port) = about.server().unwrap_or_default();
        let what = format!("whoever looks into {} asks {server}, TCP port {port}", about.path);
        let addresses = about.server_addresses(&scope.recipe.hosts);
        let (about, look) = (about.clone(), look(about));
        Check::inside(format!("mount-{name}-server"), what, move |machine| {
            let before = (machine.lab().record(), machine.lab().names_asked());
            let output = machine.run(&look)?;
            let after = (machine.lab().record(), machine.lab().names_asked());
            let seen = asked(&about, &addresses, (&before.0, &before.1), (&after.0, &after.1));
            match output.success() {
                true => Ok(seen),
                false => Err(Unanswered::Skipped(format!("the machine could not look: {}", short(&output.text)))),
            }
        })
    })
    .collect()
}

fn unit(about: &Mount, kind: &str) -> String {
    format!("\"$(systemd-escape --path --suffix={kind} {})\"", quote::word(&about.directory()))
}

/// What [`waiting`] reads.
fn waiting_script(about: &Mount) -> String {
    format!(
        "cat /proc/mounts; systemctl show -p LoadState,What,Where,Type,Options -- {}; systemctl is-active -- {}",
        unit(about, "mount"),
        unit(about, "automount")
    )
}

/// /proc/mounts, the properties of the mount unit, systemctl(1), and the state of the automount unit.
fn waiting(output: &Output, about: &Mount) -> Judged {
    let directory = about.directory();
    let any = |kind: &str| {
        output.text.lines().any(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            words.len() >= 4 && words[1] == directory && words[2] == kind
        })
    };
    if !any("autofs") {
        return Err(format!("nothing waits at {directory}: {}", short(&output.text)));
    }
    let said: BTreeMap<&str, &str> = output.text.lines().filter_map(|l| l.split_once('=')).collect();
    let of = |key: &str| said.get(key).copied().unwrap_or_default();
    let what = match &about.source {
        MountSource::Nfs(nfs) if nfs.server.contains(':') => Some(format!("[{}]:{}", nfs.server, nfs.export)),
        MountSource::Nfs(nfs) => Some(format!("{}:{}", nfs.server, nfs.export)),
        MountSource::Cifs(cifs) => Some(format!("//{}/{}", cifs.server, cifs.share)),
        MountSource::Bind(from) => Some(real(from)),
        MountSource::Disk(_) => None,
    };
    let options: Vec<&str> = of("Options").split(',').collect();
    let access = if about.read_only { "ro" } else { "rw" };
    let mut fine = of("LoadState") == "loaded" && of("Where") == directory && of("Type") == about.filesystem();
    fine &= what.is_none_or(|what| of("What") == what);
    fine &= [access, "nosuid", "nodev"].iter().all(|o| options.contains(o));
    fine &= about.options.iter().all(|o| options.contains(&o.as_str()));
    fine &= output.text.lines().any(|line| line == "active");
    verdict(fine, format!("{} {} {} {}", of("LoadState"), of("What"), of("Type"), of("Options")))
}

/// What [`on_disk`] reads.
fn disk_script(name: &str, about: &Mount) -> String {
    let link = match about.disk().map(|disk| &disk.name) {
        Some(DiskName::Label(label)) => format!("/dev/disk/by-label/{label}"),
        Some(DiskName::Uuid(uuid)) => format!("/dev/disk/by-uuid/{uuid}"),
        _ => format!("/dev/diorite/mounts/{name}"),
    };
    let write = if about.read_only { "echo unwritten".to_owned() } else { written(&about.directory()) };
    format!("cat /proc/mounts; echo \"device:$(readlink -f {})\"; {write}", quote::word(&link))
}

/// Says `written` where a file can be made and taken away again.
fn written(directory: &str) -> String {
    let file = quote::word(&format!("{directory}/.diorite-verify"));
    format!("echo written >{file} && cat {file} && rm {file}")
}

/// /proc/mounts, then `device:` with the disk that the profile names, then `written`.
fn on_disk(output: &Output, about: &Mount) -> Judged {
    let directory = about.directory();
    let Some((device, kind, options)) = mounted(&output.text, &directory) else {
        return Err(format!("{directory} is not mounted"));
    };
    let named = output.text.lines().find_map(|line| line.strip_prefix("device:")).unwrap_or_default();
    let last = if about.read_only { "unwritten" } else { "written" };
    let fine = kind == about.filesystem()
        && options.contains(&if about.read_only { "ro" } else { "rw" })
        && ["nosuid", "nodev"].iter().all(|o| options.contains(o))
        && output.text.lines().last() == Some(last);
    let seen = format!("{device} {kind} {}, the declared disk is {named}", options.join(","));
    verdict(fine && named.starts_with("/dev/") && named == device, seen)
}

/// What [`bound`] reads: number of the device and of the directory, once seen in each place.
fn bind_script(about: &Mount, from: &str) -> String {
    let (here, there) = (quote::word(&about.directory()), quote::word(&real(from)));
    format!("cat /proc/mounts; stat -c 'inode:%d %i' -- {here} {there}")
}

/// /proc/mounts, then `inode:DEVICE NUMBER` of both directories.
fn bound(output: &Output, about: &Mount) -> Judged {
    let directory = about.directory();
    let Some((_, kind, options)) = mounted(&output.text, &directory) else {
        return Err(format!("{directory} is not mounted"));
    };
    let inodes: Vec<&str> = output.text.lines().filter_map(|line| line.strip_prefix("inode:")).collect();
    let same = matches!(inodes[..], [one, other] if one == other);
    let access = options.contains(&if about.read_only { "ro" } else { "rw" });
    verdict(same && access, format!("{kind} {}, {}", options.join(","), inodes.join(" and ")))
}

/// Looks into the directory, which fails where there is no server, and leaves no failed unit behind.
fn look(about: &Mount) -> String {
    let (directory, unit) = (quote::word(&about.directory()), unit(about, "mount"));
    format!("timeout 45 ls -- {directory} >/dev/null 2>&1; systemctl reset-failed -- {unit} 2>/dev/null; echo looked")
}

/// What the lab has heard before and after.
type Heard<'a> = (&'a Record, &'a BTreeMap<String, u64>);

/// Whether the server was asked at one of its addresses, or, without any, its name was looked up.
fn asked(about: &Mount, addresses: &[IpAddr], before: Heard<'_>, after: Heard<'_>) -> Judged {
    let Some((server, port)) = about.server() else { return Err("there is no server".to_owned()) };
    if addresses.is_empty() {
        let of = |names: &BTreeMap<String, u64>| {
            names.iter().filter(|(name, _)| name.trim_end_matches('.') == server).map(|(_, n)| n).sum::<u64>()
        };
        let (one, two) = (of(before.1), of(after.1));
        return verdict(two > one, format!("{server} was looked up {} times", two.saturating_sub(one)));
    }
    let connects = |u: &Utterance| {
        u.kind == "tcp-syn" && u.port == port && addresses.iter().any(|address| u.to == address.to_string())
    };
    // A server on a network of the machine's own: no connection begins before it has answered here, and it is not there.
    let looks = |u: &Utterance| addresses.iter().any(|address| (u.kind.as_str(), u.to.clone()) == neighbour(*address));
    let more = |what: &dyn Fn(&Utterance) -> bool| {
        let of = |record: &Record| record.iter().filter(|(u, _)| what(u)).map(|(_, times)| times.count).sum::<u64>();
        of(after.0).saturating_sub(of(before.0))
    };
    let (begun, looked) = (more(&connects), more(&looks));
    let seen = format!("{begun} connections begun to {server}, TCP port {port}; looked for on the link {looked} times");
    verdict(begun + looked > 0, seen)
}

/// How a neighbour is looked for: ARP, RFC 826, or a neighbour solicitation to the group of its address, RFC 4291 2.7.1.
fn neighbour(address: IpAddr) -> (&'static str, String) {
    match address {
        IpAddr::V4(address) => ("arp", address.to_string()),
        IpAddr::V6(address) => {
            let low = address.to_bits() & 0xff_ffff;
            ("icmp6-135", Ipv6Addr::from_bits(0xff02_0000_0000_0000_0000_0001_ff00_0000 | low).to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use diorite_lab::{Times, Utterance};
    use diorite_model::recipe::{CifsMount, DiskMount, FileSystem, NfsMount};
    use std::time::Duration;

    fn out(text: &str) -> Output {
        Output { status: 0, text: text.to_owned() }
    }

    fn about(source: MountSource, when: MountTime) -> Mount {
        let (path, required) = ("/srv/data".to_owned(), when == MountTime::Boot);
        Mount { path, source, when, required, read_only: false, idle: None, options: vec!["noatime".into()] }
    }

    fn nfs(server: &str) -> Mount {
        let (server, export, version) = (server.into(), "/export".into(), "4.2".into());
        about(MountSource::Nfs(NfsMount { server, export, version }), MountTime::Access)
    }

    #[test]
    fn a_disk_that_is_another_is_seen() {
        let name = DiskName::Label("data".into());
        let disk =
            about(MountSource::Disk(DiskMount { name, filesystem: FileSystem::Ext4, create: false }), MountTime::Boot);
        const GOOD: &str = "/dev/vdb /var/srv/data ext4 rw,nosuid,nodev,noatime 0 0\ndevice:/dev/vdb\nwritten";
        assert!(on_disk(&out(GOOD), &disk).is_ok());
        for (from, to) in [
            ("/var/srv/data", "/var/srv/date"),
            ("device:/dev/vdb", "device:/dev/vdc"),
            ("/dev/vdb", ""),
            ("ext4", "tmpfs"),
            ("rw,", "ro,"),
            ("nosuid,", ""),
            ("\nwritten", ""),
        ] {
            assert!(on_disk(&out(&GOOD.replacen(from, to, 3)), &disk).is_err(), "{from} → {to}");
        }
        let shut = Mount { read_only: true, ..disk };
        assert!(on_disk(&out(&GOOD.replace("rw,", "ro,").replace("\nwritten", "\nunwritten")), &shut).is_ok());
        assert!(on_disk(&out(GOOD), &shut).is_err(), "it can be written");
    }

    #[test]
    fn a_bind_mount_is_the_same_directory() {
        let bind = about(MountSource::Bind("/var/lib/thing".into()), MountTime::Boot);
        let said = |one: &str, two: &str| {
            out(&format!("/dev/vda6 /var/srv/data ext4 rw,nosuid 0 0\ninode:{one}\ninode:{two}"))
        };
        assert!(bound(&said("65030 131", "65030 131"), &bind).is_ok());
        assert!(bound(&said("65030 131", "65030 132"), &bind).is_err(), "another directory");
        assert!(bound(&out("inode:1 2\ninode:1 2"), &bind).is_err(), "not mounted");
        assert!(bound(&out("/dev/vda6 /var/srv/data ext4 rw 0 0"), &bind).is_err());
    }

    #[test]
    fn a_server_that_is_another_is_seen() {
        const GOOD: &str = "systemd-1 /var/srv/data autofs rw,relatime 0 0\nWhere=/var/srv/data\n\
            What=nas.example:/export\nType=nfs4\nOptions=rw,nosuid,nodev,nfsvers=4.2,retry=0,noatime\nLoadState=loaded\nactive";
        assert!(waiting(&out(GOOD), &nfs("nas.example")).is_ok());
        for (from, to) in [
            ("autofs", "nfs4"),
            ("LoadState=loaded", "LoadState=bad-setting"),
            ("nas.example", "other.example"),
            ("/export", "/"),
            ("Type=nfs4", "Type=nfs"),
            (",nodev", ""),
            (",noatime", ""),
            ("\nactive", "\nfailed"),
        ] {
            assert!(waiting(&out(&GOOD.replace(from, to)), &nfs("nas.example")).is_err(), "{from} → {to}");
        }
        let cifs = CifsMount { server: "files".into(), share: "team".into(), credential: "login".into() };
        let cifs = about(MountSource::Cifs(cifs), MountTime::Access);
        let said = GOOD.replace("nas.example:/export", "//files/team").replace("nfs4", "cifs");
        assert!(waiting(&out(&said), &cifs).is_ok() && waiting(&out(GOOD), &cifs).is_err());
    }

    #[test]
    fn only_the_declared_server_counts() {
        let syn = |to: &str, port, count| {
            let (guest, kind, to) = (String::new(), "tcp-syn".to_owned(), to.to_owned());
            let (first, last) = (Duration::ZERO, Duration::ZERO);
            (Utterance { guest, vlan: None, kind, to, port }, Times { count, first, last })
        };
        let (none, empty) = (BTreeMap::new(), Record::new());
        let heard = |to: &str, port, count| Record::from([syn(to, port, count)]);
        let fixed = nfs("192.0.2.9");
        let own = ["192.0.2.9".parse().unwrap()];
        let judge = |before: &Record, after: &Record| asked(&fixed, &own, (before, &none), (after, &none));
        assert!(judge(&empty, &heard("192.0.2.9", 2049, 1)).is_ok());
        assert!(judge(&heard("192.0.2.9", 2049, 1), &heard("192.0.2.9", 2049, 1)).is_err(), "nothing new");
        assert!(judge(&empty, &heard("192.0.2.8", 2049, 1)).is_err(), "another server");
        assert!(judge(&empty, &heard("192.0.2.9", 111, 1)).is_err(), "another port");
        // On a link of the machine's own it is looked for first, and nobody answers.
        let looked = |kind: &str, to: &str| {
            let (mut said, times) = syn(to, 0, 1);
            said.kind = kind.to_owned();
            Record::from([(said, times)])
        };
        assert!(judge(&empty, &looked("arp", "192.0.2.9")).is_ok());
        assert!(judge(&empty, &looked("arp", "192.0.2.1")).is_err(), "its gateway");
        let six = ["2001:db8::a:12:9".parse().unwrap()];
        let judge = |after: &Record| asked(&nfs("2001:db8::a:12:9"), &six, (&empty, &none), (after, &none));
        assert!(judge(&looked("icmp6-135", "ff02::1:ff12:9")).is_ok());
        assert!(judge(&looked("icmp6-135", "ff02::1:ff12:8")).is_err(), "another neighbour");
        let named = nfs("nas.example");
        let names = BTreeMap::from([("nas.example".to_owned(), 1)]);
        assert!(asked(&named, &[], (&empty, &none), (&empty, &names)).is_ok());
        assert!(asked(&named, &[], (&empty, &names), (&empty, &names)).is_err());
        // A name that the machine finds in its own list of hosts is never looked up.
        let hosts = BTreeMap::from([("nas.example".to_owned(), own.to_vec())]);
        assert_eq!((named.server_addresses(&hosts), fixed.server_addresses(&hosts)), (own.to_vec(), own.to_vec()));
        assert!(asked(&named, &own, (&empty, &none), (&heard("192.0.2.9", 2049, 1), &none)).is_ok());
    }

    #[test]
    fn paths_are_words() {
        quote::tests::harmless(|hostile| {
            let bind = about(MountSource::Bind(hostile.to_owned()), MountTime::Boot);
            let bind = Mount { path: hostile.to_owned(), ..bind };
            format!("{}; {}; {}", bind_script(&bind, hostile), look(&bind), written(hostile))
        });
    }
}
