//! Overlays → over a tree.

use super::Overlay;
use crate::accounts::lookup;
use crate::tree::{NodeKind, Tree, TreePath};
use diorite_model::{Error, Result};

/// Lays overlays over a tree, with owners by the tree's own accounts. A directory that is there already keeps its owner
/// and mode unless the overlay names them; a link to a directory that is there is followed.
pub(crate) fn lay(tree: &mut Tree, overlays: &[Overlay], epoch: i64) -> Result<()> {
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
            let target = followed(tree, path);
            let special = entry.owner.is_some() || entry.node.mode != 0o755;
            let there = tree.get(&target).is_some_and(|n| matches!(n.kind, NodeKind::Directory));
            if matches!(node.kind, NodeKind::Directory) && there && !special {
                continue;
            }
            tree.insert(target, node);
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
