//! SealedTree and root file system → initrd, UKI, ESP and the disk image, staged in `out/NAME`.

use super::filesystem::RootImage;
use super::sbom::{self, SealedSources};
use super::step::{BuildContext, StepOutput, StepRunner};
use crate::attestations;
use crate::results::ResultsStaging;
use diorite_host::interrupt;
use diorite_image::format::{self, Format, FormatSource, ProgramSigner};
use diorite_image::{BootPrograms, ImageParts};
use diorite_model::plan::{Build, BuildSigning, BuildTool};
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
    /// Boot loader and unified kernel image, where they have steps of their own.
    pub boot: Option<BootPrograms>,
    /// The formats that are wanted beside the raw disk.
    pub formats: Vec<Format>,
}

/// A disk that is written and not yet in place.
pub struct StagedDisk {
    staging: ResultsStaging,
    sha256: Digest,
    root_hash: Digest,
    signing: Option<BuildSigning>,
}

/// Writes the disk and what lies beside it.
pub fn run(context: &BuildContext, _key: &Digest, source: &DiskSource) -> Result<StepOutput<StagedDisk>> {
    let DiskSource { sealed, root, changes, sources, boot, formats } = source;
    let (recipe, signing, root_hash) = (&context.inputs.recipe, &context.inputs.signing, root.root_hash);
    let stage = context.progress.stage("boot files and disk");
    let staging = context.project.results.stage()?;
    let made = boot.is_none().then(|| diorite_image::boot_programs(sealed, root_hash, recipe)).transpose()?;
    let boot = boot.as_ref().or(made.as_ref()).expect("one of them");
    let (image, hashes, enrolment) = (root.image(), root.hashes(), signing.enrolment());
    let (root, verity, enrolment) = (image.as_path(), hashes.as_path(), enrolment.as_slice());
    let parts = ImageParts { sealed, boot, enrolment, root, verity, root_hash, recipe };
    let raw = staging.disk(&format::RAW);
    // From here on the results belong together, and all of them are written.
    let image = diorite_image::write(&parts, &raw)?;
    for format in formats {
        let sign: ProgramSigner = &|name, program| signing.signed(name, program);
        format.write(&FormatSource { raw: &raw, sha256: image.sha256, parts: &parts, sign }, &staging.disk(format))?;
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
    let signing = match recipe.signing {
        None => None,
        Some(_) => {
            let unsigned_sha256 = boot.unsigned_digest(&root_hash)?;
            Some(BuildSigning { certificate: signing.certificate(), unsigned_sha256 })
        }
    };
    let value = StagedDisk { staging, sha256: image.sha256, root_hash, signing };
    Ok(StepOutput { value, bytes: image.bytes })
}

impl StagedDisk {
    /// Writes `build.json`, and puts all results in place.
    pub fn publish(self, key: Digest, runner: StepRunner) -> Result<Build> {
        let context = runner.context;
        let inputs = context.inputs;
        let build = Build {
            schema: 1,
            name: inputs.recipe.image.name.clone(),
            version: inputs.recipe.image.version.clone(),
            disk_sha256: self.sha256,
            root_hash: self.root_hash,
            recipe_digest: inputs.recipe.digest(),
            lock_digest: inputs.lock.digest(),
            signing: self.signing,
            tools: vec![BuildTool::diorite(env!("CARGO_PKG_VERSION"), inputs.program)],
            steps: runner.results,
        };
        // Before the disk goes: where this is interrupted, those of the disk before are still found.
        for disk in attestations::set_aside(&context.project.results, self.sha256)? {
            let to = attestations::aside(&context.project.results.attestations(), disk);
            context.progress.say(format!("statements about the disk that was here before: now in {}", to.display()));
        }
        self.staging.publish(&build, key)?;
        interrupt::check()?;
        Ok(build)
    }
}
