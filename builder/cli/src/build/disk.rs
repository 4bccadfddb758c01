//! SealedTree and root file system → initrd, UKI, ESP and the disk image, staged in `out/NAME`.

use super::filesystem::RootImage;
use super::sbom::{self, SealedSources};
use super::step::{BuildContext, StepOutput, StepRunner};
use crate::results::ResultsStaging;
use diorite_host::interrupt;
use diorite_image::ImageParts;
use diorite_image::format::{self, Format, FormatSource};
use diorite_model::plan::{Build, BuildTool};
use diorite_model::{Digest, Result};
use diorite_rootfs::configure::Changes;
use diorite_rootfs::seal::SealedTree;
use diorite_rootfs::{manifest, privileges, secrets};

/// What a disk is made of.
pub struct DiskSource {
    /// Kernel, boot manager, and the files of the initrd.
    pub sealed: SealedTree,
    /// The root partition and its hash partition.
    pub root: RootImage,
    /// What the overlays' `configure` programs changed: the manifest names it.
    pub changes: Changes,
    /// Where the files of the root come from: the bills of materials name it.
    pub sources: SealedSources,
    /// The formats that are wanted beside the raw disk.
    pub formats: Vec<Format>,
}

/// A disk that is written and not yet in place.
pub struct StagedDisk {
    staging: ResultsStaging,
    sha256: Digest,
    root_hash: Digest,
}

/// Writes the disk and what lies beside it.
pub fn run(context: &BuildContext, _key: &Digest, source: &DiskSource) -> Result<StepOutput<StagedDisk>> {
    let DiskSource { sealed, root, changes, sources, formats } = source;
    let (recipe, root_hash) = (&context.inputs.recipe, root.root_hash);
    let stage = context.progress.stage("boot files and disk");
    let staging = context.project.results.stage()?;
    let parts = ImageParts { sealed, root: &root.image(), verity: &root.hashes(), root_hash, recipe };
    let raw = staging.disk(&format::RAW);
    // From here on the results belong together, and all of them are written.
    let image = diorite_image::write(&parts, &raw)?;
    for format in formats {
        format.write(&FormatSource { raw: &raw, sha256: image.sha256, parts: &parts }, &staging.disk(format))?;
    }
    staging.manifest(&manifest::write(sealed, &recipe.packages.files, &changes.list))?;
    staging.privileges(&privileges::list(sealed.tree()))?;
    staging.public_secrets(&secrets::list(sealed.passed_secrets()))?;
    staging.recipe(recipe)?;
    stage.done(format!("root hash {}", root_hash.short(16)));
    let stage = context.progress.stage("bills of materials");
    let inventory = sbom::inventory(context.inputs, sealed, sources, root_hash, image.sha256);
    staging.sbom(&diorite_trust::sbom::spdx(&inventory), &diorite_trust::sbom::cyclonedx(&inventory))?;
    stage.done(format!("{} components, {} files", inventory.components.len(), inventory.files.len()));
    let value = StagedDisk { staging, sha256: image.sha256, root_hash };
    Ok(StepOutput { value, bytes: image.bytes })
}

impl StagedDisk {
    /// Writes `build.json`, and puts all results in place.
    pub fn publish(self, key: Digest, runner: StepRunner) -> Result<Build> {
        let inputs = runner.context.inputs;
        let build = Build {
            schema: 1,
            name: inputs.recipe.image.name.clone(),
            version: inputs.recipe.image.version.clone(),
            disk_sha256: self.sha256,
            root_hash: self.root_hash,
            recipe_digest: inputs.recipe.digest(),
            lock_digest: inputs.lock.digest(),
            tools: vec![BuildTool::diorite(env!("CARGO_PKG_VERSION"), inputs.program)],
            steps: runner.results,
        };
        self.staging.publish(&build, key)?;
        interrupt::check()?;
        Ok(build)
    }
}
