//! What is asked inside the machine: constant scripts for bash(1), which is Essential in Debian, and their arguments.

use crate::quote::script;
use diorite_model::verify::{Ask, FileKind, IpFamily, Level, OwnCheck};
use std::net::IpAddr;

/// `$1`: `tcp` or `udp`; `$2`: a port. Lines of ss(8), one for each that listens.
const PORT: &str = "case $1 in udp) o=-u;; *) o=-t;; esac; ss -Hln $o \"sport = :$2\"";

/// `$1`: an address of its own; `$2`: a port; `$3`: a path. The answer as it comes, RFC 1945.
const HTTP: &str = "exec 3<>\"/dev/tcp/$1/$2\" || exit 1; \
    printf \"GET %s HTTP/1.0\\r\\nHost: localhost\\r\\nUser-Agent: diorite\\r\\nConnection: close\\r\\n\\r\\n\" \"$3\" >&3; \
    timeout 30 head -c 4194304 <&3";

/// `$1`: a name. getent(1): an address at the front of each line.
const DNS: &str = "getent ahosts \"$1\"";

/// `$1`: a unit. systemctl(1).
const UNIT: &str = "systemctl show -p LoadState -p ActiveState -p UnitFileState -- \"$1\"";

/// `$1`: a path; `$2`: `symlink` to look at a link itself; `$3`, `$4`: whether digest and contents are wanted.
const FILE: &str = "[ -e \"$1\" ] || [ -L \"$1\" ] || { echo absent; exit; }; \
    f=-L; [ \"$2\" = symlink ] && { f=; echo \"target:$(readlink -- \"$1\")\"; }; \
    stat $f -c \"stat:%F|%04a|%U|%G\" -- \"$1\"; \
    [ \"$3\" = yes ] && sha256sum <\"$1\" | sed \"s/^/sha256:/\"; \
    [ \"$4\" = yes ] && head -c 1048576 -- \"$1\" | sed \"s/^/text:/;\\$a\\\\\"; true";

/// `$1`: seconds; then the command. Everything it says stands behind a word, so that it cannot speak for us.
const COMMAND: &str = "e=$(mktemp /run/diorite-verify.XXXXXX); \
    timeout -k 5 \"$@\" 2>\"$e\" </dev/null | { head -c 262144; cat >/dev/null; } | sed \"s/^/out:/;\\$a\\\\\"; \
    s=${PIPESTATUS[0]}; head -c 65536 \"$e\" | sed \"s/^/err:/;\\$a\\\\\"; rm -f \"$e\"; echo \"status:$s\"";

/// `$1`: a container.
const CONTAINER: &str = "podman inspect --type container --format \"state:{{.State.Status}}\" -- \"$1\" 2>&1; \
    podman inspect --type container --format \"health:{{.State.Health.Status}}\" -- \"$1\" 2>/dev/null; true";

/// `$1`: a process's name, proc_pid_comm(5). The owner of each that has it.
const PROCESS: &str = "for p in /proc/[0-9]*; do { read -r c <\"$p/comm\"; } 2>/dev/null || continue; \
    [ \"$c\" = \"$1\" ] && stat -c \"user:%U\" \"$p\" 2>/dev/null; done; echo done";

/// `$1`: a sysctl, in which a dot separates and a slash stands for a dot.
const SYSCTL: &str = "cat \"/proc/sys/$(printf %s \"$1\" | tr ./ /.)\"";

/// `$1`: an account.
const USER: &str =
    "getent passwd \"$1\" | sed \"s/^/passwd:/\"; id -nG \"$1\" 2>/dev/null | sed \"s/^/groups:/\"; echo done";

/// `$1`: a package. dpkg-query(1).
const PACKAGE: &str = "dpkg-query -W -f \"\\${db:Status-Status} \\${Version}\\n\" -- \"$1\"";

/// The command that asks a check inside. `slow` is how much longer things take on this host than on a fast one.
pub fn command(check: &OwnCheck, slow: f64) -> String {
    let yes = |wanted: bool| if wanted { "yes" } else { "no" }.to_owned();
    let own = |family: Option<IpFamily>| if family == Some(IpFamily::Ipv6) { "::1" } else { "127.0.0.1" }.to_owned();
    debug_assert_eq!(check.level, Level::Inside);
    match &check.ask {
        Ask::Port(p) => script(PORT, &[p.protocol.name().to_owned(), p.port.to_string()]),
        Ask::Http(h) => script(HTTP, &[own(h.family), h.port.to_string(), h.path.clone()]),
        Ask::Metric(m) => script(HTTP, &[own(None), m.port.to_string(), m.path.clone()]),
        Ask::Dns(d) => script(DNS, std::slice::from_ref(&d.name)),
        Ask::Unit(u) => script(UNIT, std::slice::from_ref(&u.name)),
        Ask::File(f) => {
            let link = if f.kind == Some(FileKind::Symlink) { "symlink" } else { "" };
            let text = !f.contains.is_empty() || !f.lacks.is_empty();
            script(FILE, &[f.path.clone(), link.to_owned(), yes(f.sha256.is_some()), yes(text)])
        }
        Ask::Command(c) => {
            let seconds = (f64::from(c.timeout) * slow.max(1.0)).ceil();
            let words: Vec<String> = std::iter::once(format!("{seconds}")).chain(c.exec.iter().cloned()).collect();
            script(COMMAND, &words)
        }
        Ask::Container(c) => script(CONTAINER, std::slice::from_ref(&c.name)),
        Ask::Process(p) => script(PROCESS, std::slice::from_ref(&p.name)),
        Ask::Sysctl(s) => script(SYSCTL, std::slice::from_ref(&s.name)),
        Ask::User(u) => script(USER, std::slice::from_ref(&u.name)),
        Ask::Package(p) => script(PACKAGE, std::slice::from_ref(&p.name)),
    }
}

/// `$1`: seconds; `$2`, `$3`: an address and a TCP port. Whether a connection comes about, and why not.
const KNOCK: &str = "e=$(timeout \"$1\" bash -c \": >/dev/tcp/\\$0/\\$1\" \"$2\" \"$3\" 2>&1); s=$?; \
    case $s:$e in 0:*) echo open;; 124:*) echo silent;; *refused*) echo closed;; *) echo \"rejected: $e\";; esac";

/// The command that asks a port or a page of another machine, at this address.
pub fn from_machine(ask: &Ask, address: IpAddr, slow: f64) -> Option<String> {
    let address = address.to_string();
    Some(match ask {
        Ask::Port(p) => script(KNOCK, &[format!("{}", (3.0 * slow.max(1.0)).ceil()), address, p.port.to_string()]),
        Ask::Http(h) => script(HTTP, &[address, h.port.to_string(), h.path.clone()]),
        Ask::Metric(m) => script(HTTP, &[address, m.port.to_string(), m.path.clone()]),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [&str; 12] = [PORT, HTTP, DNS, UNIT, FILE, COMMAND, CONTAINER, PROCESS, SYSCTL, USER, PACKAGE, KNOCK];

    fn run(command: &str) -> String {
        let output = std::process::Command::new("/bin/sh").args(["-c", command]).output().expect("sh");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    #[test]
    fn scripts_stay_in_their_quotes_and_are_well_formed() {
        for script in ALL {
            assert!(!script.contains('\''), "{script}");
            let checked = std::process::Command::new("bash").args(["-n", "-c", script]).output().expect("bash");
            assert!(checked.status.success(), "{script}: {}", String::from_utf8_lossy(&checked.stderr));
        }
    }

    #[test]
    fn what_a_command_says_cannot_speak_for_us() {
        let asked = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
            // The machine's /run; any directory does here.
            let directory = std::env::temp_dir();
            run(&script(COMMAND, &words)
                .replace("/run/diorite-verify", &format!("{}/diorite-verify", directory.display())))
        };
        assert_eq!(asked(&["9", "printf", "status:0\nx"]), "out:status:0\nout:x\nstatus:0\n");
        assert_eq!(asked(&["9", "false"]), "status:1\n");
        assert_eq!(asked(&["9", "sh", "-c", "echo a; echo b >&2; exit 3"]), "out:a\nerr:b\nstatus:3\n");
        assert_eq!(asked(&["0.2", "sleep", "9"]), "status:124\n");
        assert!(asked(&["9", "/no/such/program"]).ends_with("status:127\n"));
        let much = asked(&["9", "sh", "-c", "head -c 900000 /dev/zero | tr '\\0' x"]);
        assert!(much.len() < 300_000 && much.ends_with("status:0\n"), "{}", much.len());
    }

    #[test]
    fn files_are_looked_at() {
        let directory = std::env::temp_dir().join(format!("diorite-own-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("directory");
        let (file, link) = (directory.join("a b"), directory.join("link"));
        std::fs::write(&file, "one\ntwo").expect("file");
        std::os::unix::fs::symlink("a b", &link).expect("link");
        let words = |path: &std::path::Path, kind: &str| {
            [path.display().to_string(), kind.to_owned(), "yes".to_owned(), "yes".to_owned()]
        };
        let seen = run(&script(FILE, &words(&file, "")));
        assert!(seen.starts_with("stat:regular file|0"), "{seen}");
        assert!(seen.ends_with("text:one\ntext:two\n"), "{seen}");
        let seen = run(&script(FILE, &words(&link, "symlink")));
        assert!(seen.starts_with("target:a b\nstat:symbolic link|"), "{seen}");
        assert_eq!(run(&script(FILE, &words(&directory.join("none"), ""))), "absent\n");
        std::fs::remove_dir_all(directory).expect("remove");
    }
}
