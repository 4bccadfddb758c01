//! Values that packages' scripts draw at random when they are installed, and that only one machine may have: the secrets of
//! varnish's console and of postsrsd, the names by which iSCSI and NVMe hosts are told apart. In an image every machine would have
//! the same ones, and every build others; so each machine draws its own at its first boot and keeps them on its state. With them
//! go FreeRADIUS' Diffie-Hellman parameters, for which RFC 7919 has better ones.

use super::ini::Ini;
use super::{Guest, sandbox};
use diorite_model::Result;

/// A value that a script has drawn.
struct OwnValue {
    /// The file that programs read.
    path: &'static str,
    /// Names its unit, and the file on state.
    name: &'static str,
    mode: &'static str,
    /// Prints a new one.
    program: &'static str,
}

/// A random UUID, random(4).
const UUID: &str = "/usr/bin/cat /proc/sys/kernel/random/uuid";

const VALUES: [OwnValue; 6] = [
    OwnValue { path: "etc/varnish/secret", name: "varnish-secret", mode: "0600", program: UUID },
    OwnValue {
        path: "etc/postsrsd.secret",
        name: "postsrsd-secret",
        mode: "0600",
        program: "/usr/bin/openssl rand -base64 18",
    },
    OwnValue {
        path: "etc/freeradius/3.0/certs/dh",
        name: "freeradius-dh",
        mode: "0644",
        program: "/usr/bin/openssl genpkey -genparam -algorithm DH -pkeyopt group:ffdhe2048",
    },
    OwnValue {
        path: "etc/iscsi/initiatorname.iscsi",
        name: "iscsi-initiator",
        mode: "0600",
        program: "echo InitiatorName=$$(/usr/sbin/iscsi-iname)",
    },
    OwnValue { path: "etc/nvme/hostid", name: "nvme-hostid", mode: "0644", program: UUID },
    OwnValue { path: "etc/nvme/hostnqn", name: "nvme-hostnqn", mode: "0644", program: "/usr/sbin/nvme gen-hostnqn" },
];

/// Where a machine has its own.
const STATE: &str = "/var/lib/diorite-own";

pub(super) fn generate(guest: &mut Guest) -> Result<()> {
    VALUES.iter().try_for_each(|value| if guest.has(value.path) { drawn_at_first_boot(guest, value) } else { Ok(()) })
}

/// The value gets its name last: what a power cut left is drawn again.
fn drawn_at_first_boot(guest: &mut Guest, value: &OwnValue) -> Result<()> {
    let OwnValue { path, name, mode, program } = value;
    let (unit, file) = (format!("diorite-{name}.service"), format!("{STATE}/{name}"));
    guest.link(path, &file)?;
    let drawn =
        format!("{program} >{file}.new; chmod {mode} {file}.new; sync {file}.new; mv {file}.new {file}; sync {STATE}");
    let service = Ini::new()
        .section("Unit")
        .set("Description", format!("Draw the machine's own /{path}"))
        .set("ConditionFileNotEmpty", format!("!{file}"))
        .set("DefaultDependencies", "no")
        .set("RequiresMountsFor", STATE)
        .set("After", "systemd-tmpfiles-setup.service")
        .set("Before", "sysinit.target shutdown.target")
        .set("Conflicts", "shutdown.target")
        .section("Service")
        .set("Type", "oneshot")
        .set("RemainAfterExit", "yes")
        .set("StateDirectoryMode", "0755")
        .set("StateDirectory", STATE.trim_start_matches("/var/lib/"))
        .set("ExecStart", format!("/bin/sh -euc '{drawn}'"));
    let closed = sandbox::closed(service, &[("RestrictAddressFamilies", "none"), ("UMask", "0077")]);
    guest.unit(&unit, &closed.section("Install").set("WantedBy", "sysinit.target"))?;
    guest.enable(&unit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{Node, NodeKind, Tree};

    #[test]
    fn a_value_of_the_build_becomes_one_of_the_machine() {
        let mut tree = Tree::default();
        tree.insert("etc/varnish/secret", Node::file(0o600, "5f0c7a51-8f0e-4f1c-9a3e-2f6d8f0f9f10\n"));
        let mut guest = Guest::new(&tree, &[]);
        generate(&mut guest).unwrap();
        let NodeKind::Symlink(target) = &guest.nodes[&b"etc/varnish/secret"[..]].kind else { panic!("it is no link") };
        assert_eq!(target, format!("{STATE}/varnish-secret").as_bytes());
        assert!(guest.has("etc/systemd/system/sysinit.target.wants/diorite-varnish-secret.service"));
        assert!(!guest.has("etc/nvme/hostid"), "what a package did not bring is not made");
    }
}
