//! What a build depends on, read and checked: recipe, lock, overlays, and this very program.

use crate::lock::CheckedLock;
use crate::project::Project;
use crate::project_directory::{self, OVERLAYS};
use crate::signing::DiskSigning;
use diorite_archive::lockfile;
use diorite_model::{Digest, Error, Recipe, Result};
use diorite_rootfs::carried::CarriedInputs;
use diorite_rootfs::overlay::{self, Overlay};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Everything that decides the bytes of an image.
#[derive(Debug)]
pub struct BuildInputs {
    /// The recipe.
    pub recipe: Recipe,
    /// The lock that belongs to it.
    pub lock: CheckedLock,
    /// Overlays of the root and of containers, by name.
    pub overlays: BTreeMap<String, Overlay>,
    /// Where each is.
    pub places: BTreeMap<String, PathBuf>,
    /// Digest of this very program: part of every key.
    pub program: Digest,
    /// Who signs the boot programs.
    pub signing: DiskSigning,
}

impl BuildInputs {
    /// Reads the overlays and this program.
    pub fn read(project: &Project, lock: CheckedLock) -> Result<Self> {
        let recipe = &project.recipe;
        let names = recipe.overlays.iter().chain(recipe.containers.values().flat_map(|c| &c.overlays));
        let beside = project.directory.parent().unwrap_or(Path::new("..")).join(OVERLAYS);
        let (mut overlays, mut places) = (BTreeMap::new(), BTreeMap::new());
        for name in names {
            if !overlays.contains_key(name) {
                let place = project_directory::beside_or(&beside, OVERLAYS, name);
                overlays.insert(name.clone(), overlay::load(&place)?);
                places.insert(name.clone(), fs::canonicalize(&place).unwrap_or(place));
            }
        }
        for (name, container) in &recipe.containers {
            if let Some(overlay) = container.overlays.iter().find(|o| overlays[*o].configure.is_some()) {
                return Err(Error::input(format!("overlay `{overlay}` cannot be laid over container `{name}`"))
                    .at(places[overlay].join("configure").display().to_string())
                    .because("its `configure` program runs in the machine's own tree")
                    .hint("put the program into an overlay of its own"));
            }
        }
        let (recipe, signing) = (recipe.clone(), DiskSigning::NotSaid);
        Ok(Self { recipe, lock, overlays, places, program: program_digest()?, signing })
    }

    /// The same, with boot programs signed like this.
    pub fn signed(self, signing: DiskSigning) -> Self {
        Self { signing, ..self }
    }

    /// What the image carries of them besides the recipe.
    pub fn carried(&self) -> CarriedInputs {
        let overlays = self.overlays.iter().map(|(name, overlay)| (name.clone(), overlay.digest())).collect();
        CarriedInputs { lock: lockfile::text(&self.lock.carried()), overlays }
    }

    /// The overlays of these names, in this order.
    pub fn overlays(&self, names: &[String]) -> Vec<Overlay> {
        names.iter().map(|name| self.overlays[name].clone()).collect()
    }
}

fn program_digest() -> Result<Digest> {
    let program =
        fs::read("/proc/self/exe").map_err(|e| Error::io("this program cannot be read", "/proc/self/exe", e))?;
    Ok(Digest::of(&program))
}
