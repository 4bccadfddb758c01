//! Who may come in, and what is closed: sshd, sudo, sysctl, modprobe, dpkg and systemd-analyze on the sealed tree.

use super::*;

/// systemd-analyze(1) `security`: every unit file below /etc/systemd/system that is a file is one of ours.
pub fn closed(tree: &Tree, root: &Path) {
    let security = |unit: &str, limit: u32| {
        let threshold = format!("--threshold={limit}");
        content(root, &["systemd-analyze", "security", "--offline=yes", "--no-pager", &threshold, unit]);
    };
    let inside_of =
        |path: &[u8]| std::str::from_utf8(path).ok()?.strip_prefix("etc/systemd/system/").map(str::to_owned);
    let files = tree.nodes.iter().filter(|(_, node)| matches!(node.kind, NodeKind::File(_)));
    let ours: Vec<String> = files
        .filter_map(|(path, _)| inside_of(path))
        .filter(|name| name.ends_with(".service") && !name.contains('/'))
        .collect();
    assert!(ours.len() >= 3, "{ours:?}");
    // Of those that packages bring, what this tree has.
    let there = |unit: &str| {
        let file = format!("usr/lib/systemd/system/{unit}").into_bytes();
        unit == "*" || tree.nodes.contains_key(&file)
    };
    assert!(there("ssh.service") && there("prometheus-node-exporter.service"));
    for (unit, limit) in EXPOSURE.into_iter().filter(|(unit, _)| there(unit)) {
        let units = if unit == "*" { ours.clone() } else { vec![unit.to_owned()] };
        units.iter().for_each(|unit| security(unit, limit));
    }
    // Positive control: the judge finds a unit that is open.
    std::fs::write(root.join("etc/systemd/system/open.service"), "[Service]\nExecStart=/usr/bin/true\n").unwrap();
    let (fine, said) =
        inside(root, &["systemd-analyze", "security", "--offline=yes", "--no-pager", "--threshold=30", "open.service"]);
    assert!(!fine && said.contains("UNSAFE"), "{said}");
}

#[test]
fn access_and_hardening_are_understood_by_their_programs() {
    let tools =
        ToolsTree::open(&PathBuf::from(std::env::var_os("DIORITE_TEST_TOOLS").expect("`make test` sets it"))).unwrap();
    let text = format!("extends = \"server\"\n[image]\nname = \"server\"\nversion = \"1\"\n{ANNA}{PEOPLE}");
    let (recipe, _) = profile::parse(&text, "people.toml", &mut load).unwrap_or_else(|e| panic!("{e}"));
    let sealed = sealed(&recipe, &[]);
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    lay_out(sealed.tree(), root);
    std::fs::write(root.join("dev/null"), "").unwrap();
    for dir in ["run/sshd", "var/lib/ssh"] {
        std::fs::create_dir_all(root.join(dir)).unwrap();
    }
    content(
        root,
        &["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", "/var/lib/ssh/ssh_host_ed25519_key"],
    );

    // sudoers(5), judged by sudo's own visudo, which the image need not have.
    let rules = root.join("etc/sudoers.d/diorite");
    let judged = tools.command(Tool::Visudo).args(["-c", "-f"]).arg(&rules).input(&rules).run().unwrap();
    assert!(judged.status.success(), "{}", String::from_utf8_lossy(&judged.log));
    let text = std::fs::read_to_string(&rules).unwrap();
    assert!(
        text.contains("anna ALL=(ALL:ALL) NOPASSWD: ALL\n") && text.contains("%web ALL=(root) NOPASSWD: "),
        "{text}"
    );
    let broken = root.join("etc/sudoers.d/broken");
    std::fs::write(&broken, "anna ALL=(ALL) NOPASSWD /usr/bin/id\n").unwrap();
    let judged = tools.command(Tool::Visudo).args(["-c", "-f"]).arg(&broken).input(&broken).run().unwrap();
    assert!(!judged.status.success(), "positive control");

    // sshd(8), for a person with a certificate.
    let effective = content(root, &["sshd", "-T", "-C", "user=ben,host=h,addr=192.0.2.1"]);
    for line in [
        "trustedusercakeys /etc/ssh/user_ca.pub",
        "authorizedprincipalsfile /etc/ssh/principals.d/%u",
        "banner /etc/ssh/banner",
        "channeltimeout global=15m",
        "unusedconnectiontimeout 900",
        "allowusers anna",
        "allowusers ben",
        "disableforwarding yes",
    ] {
        assert!(effective.lines().any(|l| l == line), "sshd does not say `{line}`:\n{effective}");
    }
    assert!(effective.contains("ssh-ed25519-cert-v01@openssh.com"), "{effective}");
    content(root, &["ssh-keygen", "-l", "-f", "/etc/ssh/user_ca.pub"]);

    // sysctl.d(5) as systemd reads it: every value, and nothing after ours. modprobe.d(5) as modprobe does.
    let all = content(root, &["/usr/lib/systemd/systemd-sysctl", "--cat-config"]);
    let ours = all.rsplit("# /etc/sysctl.d/90-diorite.conf\n").next().unwrap();
    for (name, value) in &recipe.hardening.sysctl {
        assert!(ours.lines().any(|l| l == format!("{name} = {value}")), "{name}:\n{ours}");
    }
    assert!(!ours.contains("\n# /"), "a file is read after ours:\n{ours}");
    // One without soft dependencies, and one with: for that one `install` alone would not count.
    for module in ["sctp", "ksmbd"] {
        let blocked = content(root, &["modprobe", "-n", "-v", "-S", sealed.kernel_release(), module]);
        assert!(blocked.trim_end().ends_with("install /usr/bin/false"), "{blocked}");
    }
    let free = content(root, &["modprobe", "-n", "-v", "-S", sealed.kernel_release(), "xfs"]);
    assert!(free.contains("insmod") && free.contains("xfs.ko"), "positive control: {free}");

    // setuid files, and what the package database says of those that are none any more.
    let list = privileges::list(sealed.tree());
    let setuid: Vec<&str> = list.lines().filter(|l| l.starts_with("setuid ")).collect();
    assert!(setuid.len() <= SETUID_AT_MOST, "{list}");
    assert!(setuid.iter().all(|l| l.ends_with("/usr/bin/sudo")), "{list}");
    assert_eq!(list.lines().filter(|l| l.starts_with("world-writable ") && !l.contains(" 1777 ")).count(), 0, "{list}");
    let (_, overrides) = inside(root, &["dpkg-statoverride", "--list"]);
    assert!(overrides.lines().any(|l| l == "root root 755 /usr/bin/su"), "{overrides}");
    // /var is made at boot.
    let (_, changed) = inside(root, &["dpkg", "--verify"]);
    assert_eq!(changed.lines().find(|l| !l.starts_with("missing     /var")), None, "{changed}");
    closed(sealed.tree(), root);
}
