//! Takes out what a build leaves behind and no machine may share: identity, keys, logs, caches, backups, locks.

use crate::accounts::LEFTOVERS;
use crate::tree::edit::{empty_directory, empty_logs_and_caches};
use crate::tree::{Node, NodeKind, Tree, TreePath};
use diorite_model::recipe::FileFilter;

/// Paths of which nothing is kept, with those of [`LEFTOVERS`]; `*` stands for any bytes of one name.
const GONE: [&str; 40] = [
    // identity of one machine, and of the machine it was built on
    "etc/hostname",
    "etc/ssh/ssh_host_*",
    "var/lib/dbus/*",
    "var/lib/systemd/random-seed",
    "etc/.resolv.conf.systemd-resolved.bak",
    "etc/ssl/private/ssl-cert-snakeoil.key",
    "etc/bind/rndc.key",
    // secrets and a local authority that their programs make by themselves where there are none
    "var/lib/rabbitmq/.erlang.cookie",
    "var/lib/certmonger/cas/*",
    "var/lib/certmonger/local/*",
    // what rkhunter knows of files of the build, by inode and time
    "var/lib/rkhunter/db/rkhunter.dat",
    // etckeeper's history of a directory that nobody can change
    "etc/.git",
    "var/backups/*",
    // links to a kernel that goes elsewhere, and what only an initramfs generator reads
    "initrd.img",
    "initrd.img.old",
    "vmlinuz",
    "vmlinuz.old",
    "boot/initrd.img-*",
    // what dpkg, debconf and friends keep for the next installation, which there will not be
    "var/lib/dpkg/*-old",
    "var/lib/dpkg/lock",
    "var/lib/dpkg/lock-frontend",
    "var/lib/dpkg/triggers/Lock",
    "var/lib/dpkg/updates/*",
    "var/lib/dpkg/tmp.ci",
    "var/lib/apt/lists/*",
    "var/lib/apt/extended_states",
    "var/lib/systemd/deb-systemd-helper-*",
    "var/lib/systemd/deb-systemd-user-helper-*",
    "var/lib/systemd/catalog/*",
    "var/lib/ucf/*",
    "var/lib/pam/*",
    "var/lib/python/*",
    "var/lib/misc/*",
    "var/lib/shells.state",
    "var/tmp/*",
    "usr/sbin/policy-rc.d",
    "etc/dpkg/dpkg.cfg.d/99mmdebstrap",
    "etc/apt/apt.conf.d/99mmdebstrap",
    "root/.ssh",
    "usr/lib/modules/*/.fresh-install",
];

/// Does a path match a pattern whose `*` never crosses a slash?
fn matches(pattern: &[u8], path: &[u8]) -> bool {
    match (pattern.split_first(), path.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), None) => matches(rest, path),
        (Some((b'*', rest)), Some((&b, tail))) => matches(rest, path) || (b != b'/' && matches(pattern, tail)),
        (Some((p, rest)), Some((b, tail))) => p == b && matches(rest, tail),
        _ => false,
    }
}

/// Cleans the root of an image. What `filter` leaves out of packages, their scripts may have made all the same: the directory
/// of info pages.
pub(super) fn root(tree: &mut Tree, filter: &FileFilter) {
    let gone = |path: &[u8]| GONE.iter().chain(&LEFTOVERS).any(|pattern| matches(pattern.as_bytes(), path));
    let left_out = |path: &[u8], node: &Node| !matches!(node.kind, NodeKind::Directory) && !filter.keeps(path);
    let found = tree.nodes.iter().filter(|(path, node)| gone(path) || left_out(path, node));
    let found: Vec<TreePath> = found.map(|(path, _)| path.clone()).collect();
    for path in found {
        tree.remove(&path);
    }
    empty_logs_and_caches(tree);
    for path in ["proc", "sys", "dev", "run"] {
        empty_directory(tree, path, 0o755);
    }
    empty_directory(tree, "tmp", 0o1777);
    tree.insert(*b"etc/machine-id", Node::file(0o444, ""));
    // Mount point of the EFI system partition, systemd-gpt-auto-generator(8): it takes /boot only when that is missing
    // as a directory of files; both are left empty.
    for path in ["efi", "boot"] {
        if tree.get(path).is_none() {
            tree.insert(path.as_bytes().to_vec(), Node::directory(0o755));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_scripts_made_of_left_out_documentation_goes() {
        let mut tree = Tree::default();
        for path in ["usr/share/info/dir", "usr/share/doc/app/copyright", "usr/bin/app"] {
            tree.insert(path, Node::file(0o644, "app"));
        }
        let filter = FileFilter { documentation: false, ..FileFilter::default() };
        root(&mut tree, &FileFilter::default());
        assert!(tree.get("usr/share/info/dir").is_some());
        root(&mut tree, &filter);
        assert!(tree.get("usr/share/info/dir").is_none() && tree.get("usr/share/info").is_some());
        assert!(tree.get("usr/share/doc/app/copyright").is_some() && tree.get("usr/bin/app").is_some());
    }

    #[test]
    fn star_stays_in_its_directory() {
        assert!(matches(b"etc/ssh/ssh_host_*", b"etc/ssh/ssh_host_rsa_key.pub"));
        assert!(!matches(b"etc/ssh/ssh_host_*", b"etc/ssh/ssh_host_x/y"));
        assert!(matches(b"var/lib/dpkg/*-old", b"var/lib/dpkg/status-old"));
        assert!(!matches(b"var/backups/*", b"var/backups"));
    }
}
