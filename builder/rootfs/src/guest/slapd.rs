//! OpenLDAP's server: its package's script makes configuration and directory when it is installed, with identifiers and the
//! hash of a password that it draws. Each machine makes its own at its first boot, from the package's template, without the
//! password: root administers both over ldapi, as the template's access rules say. The configuration is on state, where the
//! server can change it.

use super::ini::Ini;
use super::{Guest, sandbox};
use diorite_model::Result;

const CONFIGURATION: &str = "etc/ldap/slapd.d";
const TEMPLATE: &str = "usr/share/slapd/slapd.init.ldif";
const DATA: &str = "var/lib/ldap";
/// Where a machine has its configuration.
const STATE: &str = "/var/lib/slapd";
/// What slapadd(8) reads.
const LDIF: &str = "usr/lib/diorite/slapd";
const UNIT: &str = "diorite-slapd.service";

pub(super) fn generate(guest: &mut Guest) -> Result<()> {
    let (Some(suffix), Some(template)) = (suffix(guest), guest.read(TEMPLATE)) else { return Ok(()) };
    guest.remove(CONFIGURATION);
    guest.link(CONFIGURATION, &format!("{STATE}/slapd.d"))?;
    for file in ["data.mdb", "lock.mdb"] {
        guest.remove(&format!("{DATA}/{file}"));
    }
    guest.file(&format!("{LDIF}/configuration.ldif"), 0o644, configuration(&template, &suffix))?;
    guest.file(&format!("{LDIF}/directory.ldif"), 0o644, directory(&suffix))?;
    let add = format!("/usr/sbin/slapadd -F {STATE}/.new");
    // The configuration gets its name last: what a power cut left is made again.
    let unit = Ini::new()
        .section("Unit")
        .set("Description", "Make the configuration and the directory of slapd.service")
        .set("ConditionPathExists", format!("!{STATE}/slapd.d"))
        .set("RequiresMountsFor", format!("{STATE} /{DATA}"))
        .section("Service")
        .set("Type", "oneshot")
        .set("RemainAfterExit", "yes")
        .set("User", "openldap")
        .set("StateDirectory", STATE.trim_start_matches("/var/lib/"))
        .set("StateDirectoryMode", "0750")
        .set("ReadWritePaths", format!("/{DATA}"))
        .set("ExecStart", format!("/usr/bin/rm -rf {STATE}/.new /{DATA}/data.mdb /{DATA}/lock.mdb"))
        .set("ExecStart", format!("/usr/bin/mkdir -m 0750 {STATE}/.new"))
        .set("ExecStart", format!("{add} -n 0 -l /{LDIF}/configuration.ldif"))
        .set("ExecStart", format!("{add} -b {suffix} -l /{LDIF}/directory.ldif"))
        .set("ExecStart", format!("/usr/bin/sync /{DATA}/data.mdb {STATE}/.new"))
        .set("ExecStart", format!("/usr/bin/mv {STATE}/.new {STATE}/slapd.d"))
        .set("ExecStart", format!("/usr/bin/sync {STATE}"));
    guest.unit(UNIT, &sandbox::closed(unit, &[("SystemCallFilter", "@system-service")]))?;
    let needs = Ini::new().section("Unit").set("Requires", UNIT).set("After", UNIT);
    guest.drop_in_named("slapd.service", "20-diorite-slapd", &needs)
}

/// The suffix that the script chose, by debconf's `slapd/domain`. One that is no plain domain leaves all as the script made it.
fn suffix(guest: &Guest) -> Option<String> {
    let text = guest.read(&format!("{CONFIGURATION}/cn=config/olcDatabase={{1}}mdb.ldif"))?;
    let text = String::from_utf8(text).ok()?;
    let suffix = text.lines().find_map(|line| line.strip_prefix("olcSuffix: "))?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "=,-".contains(c);
    (suffix.starts_with("dc=") && suffix.chars().all(plain)).then(|| suffix.to_owned())
}

/// The template with the suffix, without the line for the password.
fn configuration(template: &[u8], suffix: &str) -> String {
    let text = String::from_utf8_lossy(template).replace("@SUFFIX@", suffix);
    text.lines().filter(|line| !line.contains("@PASSWORD@")).map(|line| format!("{line}\n")).collect()
}

/// The entry that all others are below, as the package's script makes it.
fn directory(suffix: &str) -> String {
    let name = suffix.trim_start_matches("dc=").split(',').next().unwrap_or_default();
    format!("dn: {suffix}\nobjectClass: top\nobjectClass: dcObject\nobjectClass: organization\no: {name}\ndc: {name}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{Node, NodeKind, Tree};

    #[test]
    fn a_directory_of_the_build_becomes_one_of_the_machine() {
        let mut tree = Tree::default();
        let database = "dn: olcDatabase={1}mdb\nolcSuffix: dc=school,dc=example\nolcRootPW:: e1NTSEF9\n";
        for (path, text) in [
            ("etc/ldap/slapd.d/cn=config/olcDatabase={1}mdb.ldif", database),
            (TEMPLATE, "olcSuffix: @SUFFIX@\nolcRootPW: @PASSWORD@\nolcDbIndex: objectClass eq\n"),
            ("var/lib/ldap/data.mdb", "of the build"),
        ] {
            tree.insert(path, Node::file(0o600, text));
        }
        let mut guest = Guest::new(&tree, &[]);
        generate(&mut guest).unwrap();
        let text = |path: &str| String::from_utf8(guest.read(path).expect(path)).unwrap();
        assert_eq!(
            text("usr/lib/diorite/slapd/configuration.ldif"),
            "olcSuffix: dc=school,dc=example\nolcDbIndex: objectClass eq\n"
        );
        assert!(text("usr/lib/diorite/slapd/directory.ldif").ends_with("o: school\ndc: school\n"));
        assert!(text("etc/systemd/system/diorite-slapd.service").contains("-b dc=school,dc=example -l"));
        assert!(matches!(guest.nodes[CONFIGURATION.as_bytes()].kind, NodeKind::Symlink(_)));
        assert!(
            guest.removed.contains(CONFIGURATION.as_bytes()) && guest.removed.contains(&b"var/lib/ldap/data.mdb"[..])
        );

        let mut tree = Tree::default();
        tree.insert(TEMPLATE, Node::file(0o644, "olcSuffix: @SUFFIX@\n"));
        let mut guest = Guest::new(&tree, &[]);
        generate(&mut guest).unwrap();
        assert!(guest.nodes.is_empty(), "nothing was configured: nothing is made");
    }
}
