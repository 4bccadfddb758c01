//! The key and certificate that Debian's ssl-cert makes when it is installed, and that PostgreSQL, Dovecot, Apache and others
//! begin with: no two machines may share them, so each makes its own at its first boot and keeps it on its state.

use super::ini::Ini;
use super::{Guest, sandbox};
use crate::tree::NodeKind;
use diorite_model::Result;

const UNIT: &str = "diorite-ssl-cert.service";
const KEY: &str = "etc/ssl/private/ssl-cert-snakeoil.key";
const CERTIFICATE: &str = "etc/ssl/certs/ssl-cert-snakeoil.pem";
/// Where a machine has its own.
const STATE: &str = "/var/lib/ssl-cert";

pub(super) fn generate(guest: &mut Guest) -> Result<()> {
    if !guest.has(KEY) {
        return Ok(());
    }
    // c_rehash(1) has linked the certificate of the build by its hash.
    let by_hash: Vec<String> = guest
        .tree
        .nodes
        .iter()
        .filter_map(|(path, node)| match &node.kind {
            NodeKind::Symlink(target) if path.starts_with(b"etc/ssl/certs/") && target == b"ssl-cert-snakeoil.pem" => {
                Some(String::from_utf8_lossy(path).into_owned())
            }
            _ => None,
        })
        .collect();
    by_hash.iter().for_each(|path| guest.remove(path));
    guest.link(KEY, &format!("{STATE}/key.pem"))?;
    guest.link(CERTIFICATE, &format!("{STATE}/certificate.pem"))?;
    // The key gets its name last: what a power cut left is made again.
    let unit = Ini::new()
        .section("Unit")
        .set("Description", "Make the machine's own key and self-signed certificate (ssl-cert)")
        .set("ConditionFileNotEmpty", format!("!{STATE}/key.pem"))
        .set("DefaultDependencies", "no")
        .set("RequiresMountsFor", STATE)
        .set("After", "systemd-sysusers.service systemd-tmpfiles-setup.service")
        .set("Before", "sysinit.target shutdown.target")
        .set("Conflicts", "shutdown.target")
        .section("Service")
        .set("Type", "oneshot")
        .set("RemainAfterExit", "yes")
        .set("Group", "ssl-cert")
        .set("StateDirectory", "ssl-cert")
        .set(
            "ExecStart",
            format!(
                "/usr/bin/openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -days 3650 \
                 -subj /CN=%H -addext subjectAltName=DNS:%H -keyout {STATE}/key.new -out {STATE}/certificate.pem"
            ),
        )
        .set("ExecStart", format!("/usr/bin/chmod 0640 {STATE}/key.new"))
        .set("ExecStart", format!("/usr/bin/sync {STATE}/key.new {STATE}/certificate.pem"))
        .set("ExecStart", format!("/usr/bin/mv {STATE}/key.new {STATE}/key.pem"))
        .set("ExecStart", format!("/usr/bin/sync {STATE}"));
    let closed = sandbox::closed(unit, &[("RestrictAddressFamilies", "none"), ("UMask", "0022")]);
    guest.unit(UNIT, &closed.section("Install").set("WantedBy", "sysinit.target"))?;
    guest.enable(UNIT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{Node, Tree};

    #[test]
    fn a_key_of_the_build_becomes_one_of_the_machine() {
        let mut tree = Tree::default();
        for (path, node) in [
            (KEY, Node::file(0o640, "a key")),
            (CERTIFICATE, Node::file(0o644, "a certificate")),
            ("etc/ssl/certs/1a2b3c4d.0", Node::symlink("ssl-cert-snakeoil.pem")),
            ("etc/ssl/certs/5e6f7a8b.0", Node::symlink("ca-certificate.pem")),
        ] {
            tree.insert(path.as_bytes().to_vec(), node);
        }
        let mut guest = Guest::new(&tree, &[]);
        generate(&mut guest).unwrap();
        assert_eq!(guest.removed.iter().map(Vec::as_slice).collect::<Vec<_>>(), [b"etc/ssl/certs/1a2b3c4d.0"]);
        for path in [KEY, CERTIFICATE] {
            let NodeKind::Symlink(target) = &guest.nodes[path.as_bytes()].kind else { panic!("{path} is no link") };
            assert!(target.starts_with(STATE.as_bytes()), "{path}");
        }
        assert!(guest.has("etc/systemd/system/sysinit.target.wants/diorite-ssl-cert.service"));

        let without = Tree::default();
        let mut guest = Guest::new(&without, &[]);
        generate(&mut guest).unwrap();
        assert!(guest.nodes.is_empty(), "an image without ssl-cert has nothing of it");
    }
}
