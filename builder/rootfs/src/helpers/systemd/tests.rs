//! State files and links, as the manual page and the original's own files in a Debian tree show them.

use super::*;

struct World(tempfile::TempDir);

impl World {
    fn new(units: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (name, install) in units {
            for instance in ["system", "user"] {
                let path = dir.path().join("usr/lib/systemd").join(instance).join(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, format!("[Unit]\n[Install]\n{install}\n")).unwrap();
            }
        }
        Self(dir)
    }
    fn run(&self, instance: &'static str, action: &str, unit: &str) -> i32 {
        let root = self.0.path().to_str().unwrap().to_owned();
        let mut helper = UnitHelper { root, instance, quiet: true, purge: false, changed: false };
        helper.run(action, &[unit]).unwrap()
    }
    /// Everything below etc and var: links with their targets, files with their text.
    fn state(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut directories = vec![self.0.path().join("etc"), self.0.path().join("var")];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
                let name = entry.path().strip_prefix(self.0.path()).unwrap().display().to_string();
                if entry.file_type().unwrap().is_dir() {
                    directories.push(entry.path());
                } else if let Ok(to) = fs::read_link(entry.path()) {
                    found.push(format!("{name} -> {}", to.display()));
                } else {
                    found.push(format!(
                        "{name}: {}",
                        fs::read_to_string(entry.path()).unwrap().trim().replace('\n', " ")
                    ));
                }
            }
        }
        found.sort();
        found
    }
}

const STATE: &str = "var/lib/systemd/deb-systemd-helper-enabled";

#[test]
fn enable_disable_and_purge() {
    let world = World::new(&[
        ("a.service", "WantedBy=multi-user.target\nAlias=b.service\nAlso=a.socket"),
        ("a.socket", "RequiredBy=x.target"),
    ]);
    assert_eq!(world.run("system", "debian-installed", "a.service"), 1);
    world.run("system", "enable", "a.service");
    let enabled = world.state();
    assert_eq!(
        enabled,
        [
            "etc/systemd/system/b.service -> /usr/lib/systemd/system/a.service".to_owned(),
            "etc/systemd/system/multi-user.target.wants/a.service -> /usr/lib/systemd/system/a.service".into(),
            "etc/systemd/system/x.target.requires/a.socket -> /usr/lib/systemd/system/a.socket".into(),
            format!(
                "{STATE}/a.service.dsh-also: /etc/systemd/system/b.service \
                 /etc/systemd/system/x.target.requires/a.socket /etc/systemd/system/multi-user.target.wants/a.service"
            ),
            format!("{STATE}/b.service: "),
            format!("{STATE}/multi-user.target.wants/a.service: "),
            format!("{STATE}/x.target.requires/a.socket: "),
        ]
    );
    assert_eq!(world.run("system", "was-enabled", "a.service"), 0);
    assert_eq!(world.run("system", "is-enabled", "a.service"), 0);
    assert_eq!(world.run("system", "debian-installed", "a.service"), 0);
    world.run("system", "enable", "a.service");
    assert_eq!(world.state(), enabled, "again changes nothing");
    world.run("system", "disable", "a.service");
    assert_eq!(world.run("system", "was-enabled", "a.service"), 1);
    assert_eq!(world.state().len(), 1, "only the state file stays");
    world.run("system", "enable", "a.service");
    world.run("system", "purge", "a.service");
    assert!(world.state().is_empty() && !world.0.path().join(STATE).exists());
}

#[test]
fn update_state_makes_no_link_and_users_have_their_own() {
    let world = World::new(&[("t@.service", "DefaultInstance=tty1\nWantedBy=getty.target other.target")]);
    world.run("user", "update-state", "t@.service");
    assert_eq!(
        world.state(),
        ["var/lib/systemd/deb-systemd-user-helper-enabled/t@.service.dsh-also: \
          /etc/systemd/user/getty.target.wants/t@tty1.service /etc/systemd/user/other.target.wants/t@tty1.service"]
    );
    assert_eq!(world.run("system", "debian-installed", "t@.service"), 1);
}

#[test]
fn the_originals_quirks_are_kept() {
    let world = World::new(&[("q.service", "WantedBy=\"quoted.target\"\nAlias=one.service two.service")]);
    world.run("system", "update-state", "q.service");
    let twice = "/etc/systemd/system/one.service two.service";
    assert_eq!(
        world.state(),
        [format!("{STATE}/q.service.dsh-also: {twice} {twice} /etc/systemd/system/quoted.target/q.service")]
    );
}

#[test]
fn mask_and_unmask_only_what_we_masked() {
    let world = World::new(&[("m.service", "")]);
    world.run("system", "mask", "m.service");
    let masked = world.state();
    assert_eq!(masked[0], "etc/systemd/system/m.service -> /dev/null");
    assert_eq!(masked[1], "var/lib/systemd/deb-systemd-helper-masked/m.service: ");
    world.run("system", "unmask", "m.service");
    assert!(world.state().is_empty());
    let link = world.0.path().join("etc/systemd/system/m.service");
    fs::create_dir_all(link.parent().unwrap()).unwrap();
    symlink("/dev/null", &link).unwrap();
    world.run("system", "unmask", "m.service");
    assert_eq!(world.state().len(), 1, "the administrator's own mask stays");
}

#[test]
fn without_dpkg_it_refuses() {
    assert_eq!(main(&["enable".into(), "x.service".into()]), 1);
    assert_eq!(main(&[]), 0);
}
