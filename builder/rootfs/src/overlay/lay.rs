//! Overlays → over a tree.

use super::Overlay;
use crate::accounts::lookup;
use crate::origins::Origins;
use crate::tree::{Node, NodeKind, Tree, TreePath};
use diorite_model::{Error, Result};
use std::collections::BTreeMap;

/// Lays overlays over a tree, with owners by the tree's own accounts. A directory that is there already keeps its owner
/// and mode unless the overlay names them; a link to a directory that is there is followed. What was put where, by the
/// overlay's name, and whether its `configure` program made it.
pub(crate) fn lay(tree: &mut Tree, overlays: &[Overlay], epoch: i64) -> Result<BTreeMap<TreePath, (String, bool)>> {
    let mut laid = BTreeMap::new();
    for overlay in overlays {
        for (path, entry) in &overlay.entries {
            let mut node = entry.node.clone();
            node.mtime = epoch;
            if let Some((user, group)) = &entry.owner {
                let unknown = |what: &str, name: &str| {
                    Error::input(format!("{what} `{name}` does not exist in the image"))
                        .at(format!("overlays/{}/overlay.toml, {}", overlay.name, String::from_utf8_lossy(path)))
                        .hint("name an account that a package of the profile makes, or a number")
                };
                node.uid = lookup::number(tree, "etc/passwd", user).ok_or_else(|| unknown("user", user))?;
                node.gid = lookup::number(tree, "etc/group", group).ok_or_else(|| unknown("group", group))?;
            }
            // A directory's own name may be a link as well: /bin is one.
            let through = tree.resolve(path).filter(|_| matches!(node.kind, NodeKind::Directory));
            let target = through.unwrap_or_else(|| followed(tree, path));
            let special = entry.owner.is_some() || entry.node.mode != 0o755;
            let there = tree.get(&target).is_some_and(|n| matches!(n.kind, NodeKind::Directory));
            if matches!(node.kind, NodeKind::Directory) && there && !special {
                continue;
            }
            laid.insert(target.clone(), (overlay.name.clone(), entry.configured));
            tree.insert(target, node);
        }
    }
    Ok(laid)
}

/// An overlay that says nothing of it replaces no file that a package brought, and none puts a file where a directory is or
/// the other way round: all below would go.
///
/// # Errors
/// Names the overlay, the path and the package.
pub(crate) fn over_packages(tree: &Tree, overlays: &[Overlay], origins: &Origins) -> Result<()> {
    for overlay in overlays {
        for (path, entry) in overlay.entries.iter().filter(|(_, entry)| !entry.configured) {
            let target = followed(tree, path);
            let Some(there) = tree.get(&target) else { continue };
            let shown = String::from_utf8_lossy(path);
            let refused = |what: String| Error::input(what).at(overlay.place(path));
            let directory = |node: &Node| matches!(node.kind, NodeKind::Directory);
            match (directory(there), directory(&entry.node)) {
                (true, true) => {}
                (true, false) if tree.children(&target).next().is_some() => {
                    let what =
                        format!("overlay `{}` has a file where the image has a directory, /{shown}", overlay.name);
                    return Err(refused(what).hint("everything in that directory would go: choose another path"));
                }
                (true, false) => {}
                (false, true) if tree.resolve(&target).is_some_and(|to| tree.get(&to).is_none_or(directory)) => {}
                (false, true) => {
                    let what =
                        format!("overlay `{}` has a directory where the image has a file, /{shown}", overlay.name);
                    return Err(refused(what).hint("the file would go: choose another path"));
                }
                (false, false) => {
                    let Some(origin) = origins.get(&target).filter(|_| !overlay.overrides) else { continue };
                    let same = matches!(&entry.node.kind, NodeKind::File(c) if c.digest() == origin.digest);
                    if !same {
                        let what =
                            format!("overlay `{}` replaces /{shown} of the package `{}`", overlay.name, origin.package);
                        return Err(refused(what).hint(format!(
                            "many programs also read files beside it (`NAME.d/`); if it is to be replaced, write \
                             `override = true` in overlays/{}/overlay.toml",
                            overlay.name
                        )));
                    }
                }
            }
        }
    }
    Ok(())
}

/// Where a path leads when links among its parents are followed; a last part that is a link is replaced, not followed.
fn followed(tree: &Tree, path: &[u8]) -> TreePath {
    let Some(cut) = path.iter().rposition(|&b| b == b'/') else { return path.to_vec() };
    let parent = tree.resolve(&path[..cut]).unwrap_or_else(|| followed(tree, &path[..cut]));
    if parent.is_empty() { path[cut + 1..].to_vec() } else { [&parent, &path[cut..]].concat() }
}
