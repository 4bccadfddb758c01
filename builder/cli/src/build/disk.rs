//! SealedTree and root file system → initrd, UKI, ESP and the disk image, staged in `out/NAME`.

use super::filesystem::RootImage;
use super::step::{BuildContext, StepOutput, StepRunner};
use crate::results::ResultsStaging;
use diorite_host::interrupt;
use diorite_image::sparse::Sparse;
use diorite_image::{disk, esp, initrd, qcow2, uki};
use diorite_model::plan::{Build, BuildTool};
use diorite_model::recipe::StateDisk;
use diorite_model::{Digest, Recipe, Result};
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
    /// Whether a qcow2 is wanted besides.
    pub with_qcow2: bool,
}

/// A disk that is written and not yet in place.
pub struct StagedDisk {
    staging: ResultsStaging,
    sha256: Digest,
    root_hash: Digest,
}

/// Writes the disk and what lies beside it.
pub fn run(context: &BuildContext, _key: &Digest, source: &DiskSource) -> Result<StepOutput<StagedDisk>> {
    let DiskSource { sealed, root, changes, with_qcow2 } = source;
    let recipe = &context.inputs.recipe;
    let stage = context.progress.stage("boot files and disk");
    let staging = context.project.results.stage()?;
    let esp = boot_partition(sealed, &root.root_hash, recipe)?;
    let parts = disk::DiskParts {
        name: &recipe.image.name,
        version: &recipe.image.version,
        root: &root.image(),
        verity: &root.hashes(),
        root_hash: root.root_hash,
        esp: &esp,
        sizes: &recipe.disk,
        state: match recipe.state.disk {
            StateDisk::Same => recipe.state.minimum,
            StateDisk::Own => 0,
        },
        public: sealed.public(),
    };
    // The last moment to stop: from here on the results belong together, and all of them are written.
    interrupt::check()?;
    let image = disk::write(&parts, &staging.raw())?;
    if *with_qcow2 {
        qcow2::write(&staging.raw(), &staging.qcow2())?;
    }
    staging.manifest(&manifest::write(sealed, &changes.list))?;
    staging.privileges(&privileges::list(sealed.tree()))?;
    staging.public_secrets(&secrets::list(sealed.passed_secrets()))?;
    staging.recipe(recipe)?;
    stage.done(format!("root hash {}", root.root_hash.short(16)));
    let value = StagedDisk { staging, sha256: image.sha256, root_hash: root.root_hash };
    Ok(StepOutput { value, bytes: image.bytes })
}

/// The ESP: boot manager and UKI. The kernel's command line carries the root hash.
fn boot_partition(sealed: &SealedTree, root_hash: &Digest, recipe: &Recipe) -> Result<Sparse> {
    let epoch = recipe.image.epoch;
    let initrd = initrd::assemble(sealed.tree(), sealed.kernel_release(), epoch, sealed.public())?;
    let more = [&recipe.hardening.command_line[..], &recipe.kernel.command_line].concat();
    let uki = uki::assemble(&uki::UkiParts {
        stub: sealed.stub(),
        kernel: sealed.kernel(),
        initrd: &initrd,
        cmdline: &command_line(root_hash, &more),
        os_release: sealed.os_release(),
        uname: sealed.kernel_release(),
        splash: None,
    })?;
    let files = esp::files(sealed.boot_manager(), &uki, &recipe.image.name, &recipe.image.version);
    let volume = u32::from_le_bytes(root_hash.0[..4].try_into().expect("four bytes"));
    esp::write(&files, recipe.disk.esp, volume, "ESP", epoch)
}

/// What the kernel is told: where its root is, and what to do when a block is not what it was.
fn command_line(root_hash: &Digest, more: &[String]) -> String {
    let mut words = vec![
        format!("roothash={root_hash}"),
        "ro".into(),
        "rootfstype=erofs".into(),
        "systemd.verity_root_options=restart-on-corruption".into(),
        "console=ttyS0,115200".into(),
        "panic=10".into(),
    ];
    words.extend(more.iter().cloned());
    words.join(" ")
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
