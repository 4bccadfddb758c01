//! What an image carries about itself, below `/usr/share/diorite` of its root and so under its root hash: the recipe and the
//! lock it was made from, digests of what else decides its bytes, and where each of its files comes from.
//!
//! ```text
//! recipe.json       the recipe, as `out/NAME/recipe.json` has it
//! lock              the lock without its tools tree, in the form of profiles/NAME.lock
//! image.json        version of this layout; digests of the kernel (which is in no file of the root) and of the overlays
//! provenance.json   path → package, script, overlay, table (provenance.rs)
//! ```
//! All of it follows from the recipe, the lock and the overlays, so it is the same whoever builds; and none of it speaks of the
//! root hash, which follows from it.

use crate::paths::CARRIED;
use crate::provenance::{self, KnownFiles};
use crate::tree::{Node, Tree};
use diorite_model::{Digest, Recipe};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Version of the layout.
const SCHEMA: u32 = 1;

/// Where the recipe is.
pub const RECIPE: &str = "usr/share/diorite/recipe.json";
/// Where the lock is.
pub const LOCK: &str = "usr/share/diorite/lock";
/// Where the description is.
pub const IMAGE: &str = "usr/share/diorite/image.json";
/// Where the provenance of every file is.
pub const PROVENANCE: &str = "usr/share/diorite/provenance.json";

/// What decides an image's bytes besides its recipe.
#[derive(Debug, Clone, Default)]
pub struct CarriedInputs {
    /// The text of [`diorite_model::Lock::carried`].
    pub lock: String,
    /// Overlays of the root and of containers.
    pub overlays: BTreeMap<String, Digest>,
}

/// `image.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageDescription {
    /// Version of the layout.
    pub schema: u32,
    /// SHA-256 of the kernel, which sealing took out of the root.
    pub kernel: Digest,
    /// Overlays and their digests.
    pub overlays: BTreeMap<String, Digest>,
}

impl ImageDescription {
    /// Reads it.
    ///
    /// # Errors
    /// What is wrong, as a cause: another version of the layout, or no JSON of it.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Version {
            schema: u32,
        }
        let Version { schema } = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
        if schema != SCHEMA {
            return Err(format!("it has schema {schema}, and this version reads {SCHEMA}"));
        }
        serde_json::from_slice(bytes).map_err(|e| e.to_string())
    }
}

/// Puts it into a tree that is otherwise sealed.
pub(crate) fn put(tree: &mut Tree, recipe: &Recipe, inputs: &CarriedInputs, kernel: &[u8], known: &KnownFiles) {
    let description =
        ImageDescription { schema: SCHEMA, kernel: Digest::of(kernel), overlays: inputs.overlays.clone() };
    tree.insert(CARRIED, Node::directory(0o755));
    // Last, and itself among the files it speaks of.
    let files = [
        (RECIPE, pretty(recipe)),
        (LOCK, inputs.lock.clone().into_bytes()),
        (IMAGE, pretty(&description)),
        (PROVENANCE, Vec::new()),
    ];
    files.into_iter().for_each(|(path, bytes)| tree.insert(path, Node::file(0o644, bytes)));
    let provenance = provenance::of(tree, known);
    tree.insert(PROVENANCE, Node::file(0o644, provenance.to_json()));
}

fn pretty<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(value).expect("our own types serialize");
    bytes.push(b'\n');
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_layout_is_told_by_its_version() {
        let description = ImageDescription {
            schema: SCHEMA,
            kernel: Digest::of(b"kernel"),
            overlays: [("web".to_owned(), Digest::of(b"web"))].into(),
        };
        assert_eq!(ImageDescription::parse(&pretty(&description)), Ok(description));
        let newer = ImageDescription::parse(br#"{"schema":2,"else":1}"#).unwrap_err();
        assert_eq!(newer, "it has schema 2, and this version reads 1");
        assert!(ImageDescription::parse(b"{}").unwrap_err().contains("schema"));
    }
}
