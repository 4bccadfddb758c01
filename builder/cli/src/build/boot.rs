//! SealedTree and root hash → boot loader and unified kernel image, in the store; and these → the same, signed. Only an image for
//! Secure Boot has these steps: whoever signs it, everything before is shared.

use super::disk::DiskSource;
use super::step::{BuildContext, StepOutput, size_of};
use diorite_image::BootPrograms;
use diorite_model::{Digest, Error, Result};
use std::fs;

const LOADER: &str = "loader.efi";
const UKI: &str = "uki.efi";

/// Makes the programs, or takes them from the store.
pub fn programs(context: &BuildContext, key: &Digest, source: &DiskSource) -> Result<StepOutput<BootPrograms>> {
    let BuildContext { inputs, store, progress, .. } = context;
    let directory = match store.get("uki", key) {
        Some(directory) => directory,
        None => {
            let stage = progress.stage("unified kernel image");
            let programs = diorite_image::boot_programs(&source.sealed, source.root.root_hash, &inputs.recipe)?;
            let scratch = store.scratch("uki")?;
            for (name, program) in [(LOADER, &programs.loader), (UKI, &programs.uki)] {
                let file = scratch.path().join(name);
                diorite_host::file::write_scratch(&file, program)
                    .map_err(|e| Error::io("a boot program cannot be kept", &file, e))?;
            }
            stage.done(format!("{} MiB", programs.uki.len() >> 20));
            store.put("uki", key, scratch)?
        }
    };
    let read = |name: &str| {
        let file = directory.join(name);
        fs::read(&file).map_err(|e| Error::io("a boot program cannot be read", &file, e))
    };
    let value = BootPrograms { loader: read(LOADER)?, uki: read(UKI)? };
    Ok(StepOutput { value, bytes: size_of(&directory) })
}

/// Signs them, unless nobody is to.
pub fn sign(context: &BuildContext, _key: &Digest, programs: &BootPrograms) -> Result<StepOutput<BootPrograms>> {
    let stage = context.progress.stage("signatures");
    let signing = &context.inputs.signing;
    let value = programs.each(|name, program| signing.signed(name, program))?;
    stage.done(signing.to_string());
    let bytes = (value.loader.len() + value.uki.len()) as u64;
    Ok(StepOutput { value, bytes })
}
