//! PostgreSQL and MariaDB: their packages' scripts make an empty database when they are installed. It would be other bytes at
//! every build, with one identifier for every machine of the image; so each machine makes its own at its first boot.

use super::ini::Ini;
use super::{Guest, sandbox};
use diorite_model::{Recipe, Result};

const MARIADB: &str = "var/lib/mysql";
const POSTGRESQL: &str = "var/lib/postgresql/";

/// A database that a script has made.
struct Database {
    /// Its directory.
    data: String,
    /// What is in the directory once the database is whole.
    marker: &'static str,
    /// The account it belongs to.
    user: &'static str,
    /// The unit that serves it.
    server: String,
    /// The program that makes one in the directory `/DATA/.new`, and its arguments.
    maker: String,
}

pub(super) fn generate(guest: &mut Guest, recipe: &Recipe) -> Result<()> {
    for database in found(guest, &recipe.locale.lang) {
        emptied(guest, &database);
        made_at_first_boot(guest, &database)?;
    }
    Ok(())
}

/// Those that lie in the tree; `language` is that of a new one.
fn found(guest: &Guest, language: &str) -> Vec<Database> {
    let mut all = Vec::new();
    if guest.tree.get(format!("{MARIADB}/mysql").as_str()).is_some() {
        all.push(Database {
            data: MARIADB.into(),
            marker: "mysql",
            user: "mysql",
            server: "mariadb.service".into(),
            maker: format!(
                "/usr/bin/mariadb-install-db --datadir=/{MARIADB}/.new --skip-test-db \
                 --auth-root-authentication-method=socket --auth-root-socket-user=root"
            ),
        });
    }
    // /var/lib/postgresql/VERSION/CLUSTER
    let clusters = guest.tree.nodes.keys().filter_map(|path| {
        let inside = std::str::from_utf8(path).ok()?.strip_prefix(POSTGRESQL)?.strip_suffix("/PG_VERSION")?;
        inside.split_once('/').filter(|(_, cluster)| !cluster.contains('/'))
    });
    all.extend(clusters.map(|(version, cluster)| Database {
        data: format!("{POSTGRESQL}{version}/{cluster}"),
        marker: "PG_VERSION",
        user: "postgres",
        server: format!("postgresql@{version}-{cluster}.service"),
        maker: format!(
            "/usr/lib/postgresql/{version}/bin/initdb --pgdata=/{POSTGRESQL}{version}/{cluster}/.new --encoding=UTF8 \
             --locale={language} --auth-local=peer --auth-host=scram-sha-256 --no-instructions"
        ),
    }));
    all
}

/// Takes out what is in the directory, and keeps the directory.
fn emptied(guest: &mut Guest, database: &Database) {
    let inside = format!("{}/", database.data).into_bytes();
    let below = guest.tree.nodes.range(inside.clone()..).map(|(path, _)| path);
    let all: Vec<_> = below.take_while(|path| path.starts_with(&inside)).cloned().collect();
    guest.removed.extend(all);
}

/// The unit that makes it, beside the place where it belongs; the marker gets its name last, so that what a power cut left is
/// begun anew.
fn made_at_first_boot(guest: &mut Guest, database: &Database) -> Result<()> {
    let Database { data, marker, user, server, maker } = database;
    let name = format!("diorite-database-{}", server.replace(['@', '.'], "-"));
    let unit = format!("{}.service", name.trim_end_matches("-service"));
    let moved = format!(
        "cd /{data}/.new; for name in *; do test $name = {marker} || mv -- $name ..; done; sync ..; mv {marker} ..; cd ..; \
         rmdir .new; sync ."
    );
    let ini = Ini::new()
        .section("Unit")
        .set("Description", format!("Make the database of {server}"))
        .set("ConditionPathExists", format!("!/{data}/{marker}"))
        .set("RequiresMountsFor", format!("/{data}"))
        .section("Service")
        .set("Type", "oneshot")
        .set("RemainAfterExit", "yes")
        .set("User", *user)
        .set("ExecStart", format!("/usr/bin/rm -rf /{data}/.new"))
        .set("ExecStart", maker.as_str())
        .set("ExecStart", format!("/bin/sh -euc '{}'", moved.replace('$', "$$")))
        .set("ReadWritePaths", format!("/{data}"))
        .set("TimeoutStartSec", "10min");
    // MariaDB's regular expressions are compiled to machine code; both allocate shared memory and set priorities.
    let open = [("MemoryDenyWriteExecute", ""), ("SystemCallFilter", "@system-service"), ("RemoveIPC", "")];
    guest.unit(&unit, &sandbox::closed(ini, &open))?;
    let needs = Ini::new().section("Unit").set("Requires", unit.as_str()).set("After", unit.as_str());
    guest.drop_in_named(server, "20-diorite-database", &needs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{Node, Tree};

    #[test]
    fn a_database_of_the_build_becomes_one_of_the_machine() {
        let mut tree = Tree::new();
        for (path, node) in [
            ("var/lib/mysql", Node::directory(0o755)),
            ("var/lib/mysql/ibdata1", Node::file(0o660, "of the build")),
            ("var/lib/mysql/mysql", Node::directory(0o700)),
            ("var/lib/mysql-files", Node::directory(0o755)),
            ("var/lib/postgresql/17/main", Node::directory(0o700)),
            ("var/lib/postgresql/17/main/PG_VERSION", Node::file(0o600, "17")),
            ("var/lib/postgresql/17/main/base/1/PG_VERSION", Node::file(0o600, "17")),
        ] {
            tree.insert(path.as_bytes().to_vec(), node);
        }
        let mut guest = Guest::new(&tree, &[]);
        for database in found(&guest, "C.UTF-8") {
            emptied(&mut guest, &database);
            made_at_first_boot(&mut guest, &database).unwrap();
        }
        let text = |path: &str| String::from_utf8(guest.read(path).expect(path)).unwrap();
        let removed: Vec<String> = guest.removed.iter().map(|p| String::from_utf8_lossy(p).into_owned()).collect();
        assert!(removed.contains(&"var/lib/mysql/ibdata1".into()) && removed.contains(&"var/lib/mysql/mysql".into()));
        assert!(!removed.iter().any(|p| p == "var/lib/mysql" || p == "var/lib/mysql-files"), "{removed:?}");
        let units = "etc/systemd/system";
        assert!(text(&format!("{units}/diorite-database-mariadb.service")).contains("User=mysql"));
        let cluster = text(&format!("{units}/diorite-database-postgresql-17-main.service"));
        assert!(
            cluster.contains("--pgdata=/var/lib/postgresql/17/main/.new --encoding=UTF8 --locale=C.UTF-8"),
            "{cluster}"
        );
        let server = text(&format!("{units}/postgresql@17-main.service.d/20-diorite-database.conf"));
        assert!(server.contains("Requires=diorite-database-postgresql-17-main.service"), "{server}");
        assert_eq!(guest.nodes.len(), 4, "and nothing for the database that is in a cluster");
    }
}
