//! The steps of a build as values, in the order in which they run.

use super::inputs::BuildInputs;
use super::keys::StepKeys;
use super::step::BuildStep;
use super::trees::{BuildTrees, TreeStep};
use super::wheels::WheelStep;
use super::{boot, configure, disk, filesystem, trees};
use diorite_host::sandbox::{self, Job};
use diorite_host::store::Store;
use diorite_image::BootPrograms;
use diorite_model::Digest;
use diorite_model::plan::Step;
use diorite_rootfs::configure::Changes;
use diorite_rootfs::seal::SealedTree;

/// Jobs of steps that run in a child that owns every id.
pub const INSIDE: &[(&str, Job)] =
    &[("trees", |json| sandbox::typed(json, trees::job)), ("configure", |json| sandbox::typed(json, configure::job))];

/// The steps that only an image for Secure Boot has.
pub struct BootSteps {
    /// Boot loader and unified kernel image, whoever signs them.
    pub uki: BuildStep<disk::DiskSource, BootPrograms>,
    /// Their signatures.
    pub sign: BuildStep<BootPrograms, BootPrograms>,
}

/// All steps of a build.
pub struct Steps {
    /// The configured root of the machine, then that of each container. They are made together.
    pub trees: Vec<TreeStep>,
    /// The unpacked wheels of each container that has some.
    pub wheels: Vec<WheelStep>,
    /// The `configure` programs of overlays, if any has one.
    pub configure: Option<BuildStep<BuildTrees, Changes>>,
    /// Root file system with its hash tree.
    pub filesystem: BuildStep<SealedTree, filesystem::RootImage>,
    /// Boot loader and unified kernel image, and their signatures, of an image for Secure Boot.
    pub boot: Option<BootSteps>,
    /// The disk image.
    pub disk: BuildStep<disk::DiskSource, disk::StagedDisk>,
}

impl Steps {
    /// The steps of these keys, and whether the store has their results.
    pub fn of(inputs: &BuildInputs, keys: StepKeys, store: &Store, disk_is_there: bool) -> Self {
        let there = disk_is_there && !inputs.lock.image.is_empty();
        let stored = |step: &str, key: &Digest| store.get(step, key).is_some();
        let tree = |name: String, container: Option<&String>, key: Digest| TreeStep {
            planned: Step { name, key, hit: stored("tree", &key) },
            container: container.cloned(),
        };
        let wheels = keys.wheels.iter().map(|(name, key)| WheelStep {
            planned: Step { name: format!("wheels {name}"), key: *key, hit: stored("wheels", key) },
            container: name.clone(),
        });
        let containers = keys.containers.iter().map(|(name, key)| tree(format!("container {name}"), Some(name), *key));
        Self {
            trees: std::iter::once(tree("tree".into(), None, keys.tree)).chain(containers).collect(),
            wheels: wheels.collect(),
            configure: keys.configure.map(|key| BuildStep {
                name: "configure",
                key,
                hit: stored("configure", &key),
                run: configure::run,
            }),
            filesystem: BuildStep {
                name: "filesystem",
                key: keys.filesystem,
                hit: stored("filesystem", &keys.filesystem),
                run: filesystem::run,
            },
            boot: keys.uki.map(|key| BootSteps {
                uki: BuildStep { name: "uki", key, hit: stored("uki", &key), run: boot::programs },
                sign: BuildStep { name: "sign", key: keys.disk, hit: there, run: boot::sign },
            }),
            disk: BuildStep { name: "disk", key: keys.disk, hit: there, run: disk::run },
        }
    }

    /// As they stand in a plan.
    pub fn planned(&self) -> Vec<Step> {
        let trees = self.trees.iter().map(|tree| tree.planned.clone());
        let trees = trees.chain(self.wheels.iter().map(|wheels| wheels.planned.clone()));
        let configure = self.configure.iter().map(BuildStep::planned);
        let boot = self.boot.iter().flat_map(|boot| [boot.uki.planned(), boot.sign.planned()]);
        trees.chain(configure).chain([self.filesystem.planned()]).chain(boot).chain([self.disk.planned()]).collect()
    }
}
