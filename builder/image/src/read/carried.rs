//! The files of a root → what the image carries about itself (`diorite_rootfs::carried`).

use super::erofs::{ErofsReader, ImageFile};
use diorite_model::{Error, Recipe, Result};
use diorite_rootfs::carried::{IMAGE, ImageDescription, LOCK, PROVENANCE, RECIPE};
use diorite_rootfs::provenance::Provenance;
use diorite_rootfs::tree::TreePath;
use std::collections::BTreeMap;
use std::path::Path;

/// What an image carries about itself.
#[derive(Debug, Clone)]
pub struct Carried {
    /// Kernel and overlays.
    pub description: ImageDescription,
    /// The recipe it was made from.
    pub recipe: Recipe,
    /// The text of the lock.
    pub lock: String,
    /// Where each file comes from.
    pub provenance: Provenance,
}

/// Reads it. None where there is nothing: an image of a version that did not know of it.
///
/// # Errors
/// [`diorite_model::Exit::Input`]: it is damaged, or another version of Diorite has written it.
pub fn carried(path: &Path, reader: &ErofsReader, files: &BTreeMap<TreePath, ImageFile>) -> Result<Option<Carried>> {
    let Some(file) = files.get(IMAGE.as_bytes()) else { return Ok(None) };
    let foreign = |name: &str, why: String| {
        Error::input("what the image carries about itself cannot be read")
            .at(format!("/{name} in {}", path.display()))
            .because(why)
            .hint("use the version of Diorite that has built the image; build.json beside it names that")
    };
    let description = ImageDescription::parse(&reader.content(IMAGE.as_bytes(), file)?);
    let description = description.map_err(|why| foreign(IMAGE, why))?;
    let read = |name: &str| {
        let file = files.get(name.as_bytes()).ok_or_else(|| foreign(name, "it is missing".into()))?;
        reader.content(name.as_bytes(), file)
    };
    let recipe = serde_json::from_slice(&read(RECIPE)?).map_err(|e| foreign(RECIPE, e.to_string()))?;
    let lock = String::from_utf8(read(LOCK)?).map_err(|e| foreign(LOCK, e.to_string()))?;
    let provenance = Provenance::parse(&read(PROVENANCE)?).map_err(|why| foreign(PROVENANCE, why))?;
    Ok(Some(Carried { description, recipe, lock, provenance }))
}
