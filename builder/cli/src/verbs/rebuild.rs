//! `rebuild`: a profile or an image → the same once more, under changed conditions, compared; and where the two differ, why.

use super::inspect::carried;
use crate::args::{BuildArgs, RebuildArgs, SignerArgs};
use crate::attestations::{self, SignedFiles};
use crate::build::BuildInputs;
use crate::built::BuiltImage;
use crate::context::Context;
use crate::lock::CheckedLock;
use crate::project::Project;
use crate::project_directory::{self, PROFILES};
use crate::rebuild::{self, Rebuilt};
use crate::results::Results;
use crate::subject::NamedSubject;
use crate::{out, print_rebuild, signer};
use diorite_host::file::sha256;
use diorite_host::surroundings::Distance;
use diorite_image::format;
use diorite_image::read::ImageReader;
use diorite_model::profile::Settings;
use diorite_model::{Digest, Error, Exit, Result};
use diorite_trust::attest::{self, RebuildInputs, StatementKind};
use diorite_trust::keys::AttestationSigner;
use std::fs;
use std::path::{Path, PathBuf};

/// What is to be made once more.
struct Original {
    image: PathBuf,
    sha256: Digest,
    project: Project,
    lock: CheckedLock,
}

/// Builds again and compares; exit 7 when a byte differs.
pub fn rebuild(args: &RebuildArgs, context: &Context) -> Result<Exit> {
    let original = match NamedSubject::of(&args.image, &args.paths)? {
        NamedSubject::Profile(_) => of_profile(args, context)?,
        subject => of_image(&subject.image()?, args)?,
    };
    // What is wrong with a key is known before an hour of building.
    let signer = signer(args)?;
    let rebuilt = rebuild::again(&original.project, &original.lock, Distance::Near, context)?;
    let (there, again) = (original.sha256, rebuilt.build.disk_sha256);
    if there == again {
        let _ = fs::remove_dir_all(rebuilt.results.directory());
        let signed = signer.map(|signer| attest(&original, &rebuilt, &*signer)).transpose()?;
        out::print(print_rebuild::equal(&rebuilt, signed.as_ref(), context.json))?;
        return Ok(Exit::Done);
    }
    if without_signatures(&original, &rebuilt)? {
        let _ = fs::remove_dir_all(rebuilt.results.directory());
        out::print(print_rebuild::equal_but_signed(there, &rebuilt, context.json))?;
        return Ok(Exit::Done);
    }
    let findings = rebuilt.explain(&original.image)?;
    out::print(print_rebuild::different(&original.image, there, &rebuilt, &findings, context.json))?;
    Ok(Exit::NotReproducible)
}

/// Who signs that the same bytes came, if anybody.
fn signer(args: &RebuildArgs) -> Result<Option<Box<dyn AttestationSigner>>> {
    let named = SignerArgs {
        key: args.attest.clone(),
        signer: args.attest_signer.clone(),
        public_key: args.attest_public_key.clone(),
    };
    (named.key.is_some() || named.signer.is_some()).then(|| signer::of(&named)).transpose()
}

/// Signs that the same bytes came, beside the original.
fn attest(original: &Original, rebuilt: &Rebuilt, signer: &dyn AttestationSigner) -> Result<SignedFiles> {
    // Where it was is nobody's business.
    let changed: Vec<String> = rebuilt
        .changed
        .iter()
        .map(|what| match what.strip_prefix(rebuild::STORE) {
            Some(_) => rebuild::STORE.trim_end().to_owned(),
            None => what.clone(),
        })
        .collect();
    let statement = attest::rebuild(&RebuildInputs { build: &rebuilt.build, changed: &changed });
    let mut signed =
        SignedFiles { disk: original.sha256, key: signer.public().id(), written: Vec::new(), left_out: Vec::new() };
    attestations::write(&Results::beside(&original.image), StatementKind::Rebuild, &statement, signer, &mut signed)?;
    Ok(signed)
}

/// Whether a signed image is the one that was made again, when its signatures and the signer's keys are left out: the same root and
/// programs by their digest, and every other byte as root and recipe give it.
fn without_signatures(original: &Original, rebuilt: &Rebuilt) -> Result<bool> {
    let Some(signing) = &rebuilt.build.signing else { return Ok(false) };
    let image = ImageReader::open(&original.image)?;
    let Some(programs) = image.esp.programs() else { return Ok(false) };
    let unsigned = programs.unsigned_digest(&image.root_hash)?;
    Ok(unsigned == signing.unsigned_sha256 && image.damages()?.is_empty())
}

/// The image of the profile as it is now; built first where it is not there.
fn of_profile(args: &RebuildArgs, context: &Context) -> Result<Original> {
    let profile = crate::args::ProfileArgs { name: args.image.clone(), paths: args.paths.clone() };
    let (relock, signing) = (args.relock.clone(), args.signing.clone());
    let build =
        BuildArgs { profile, relock, format: vec![format::RAW], signing, unsigned_digests: None, paranoid: false };
    let built = BuiltImage::make(&build, context)?;
    let BuiltImage { project, lock, build, .. } = built;
    Ok(Original { image: project.results.raw(), sha256: build.disk_sha256, project, lock })
}

/// An image with the recipe and the lock that it carries, and the overlays of this project, which must be those it was built from.
fn of_image(path: &Path, args: &RebuildArgs) -> Result<Original> {
    if args.relock.relock {
        return Err(Error::input("an image is rebuilt from the lock that it carries")
            .at(path.display().to_string())
            .hint("leave out --relock, or name a profile"));
    }
    let image = ImageReader::open_whole(path)?;
    let carried = carried(&image)?;
    let name = carried.recipe.image.name.clone();
    let project = Project {
        results: Results::of(&args.paths, &name),
        name,
        recipe: carried.recipe.clone(),
        settings: Settings::default(),
        lock_file: path.to_owned(),
        directory: project_directory::path().join(PROFILES),
    };
    let lock = CheckedLock::carried(&project, &carried.lock, path)?;
    let inputs = BuildInputs::read(&project, lock.clone())?;
    for (name, digest) in &carried.description.overlays {
        if inputs.overlays.get(name).is_none_or(|overlay| overlay.digest() != *digest) {
            return Err(Error::input(format!("overlay `{name}` is not the one that the image was built from"))
                .at(inputs.places.get(name).map_or_else(|| name.clone(), |place| place.display().to_string()))
                .because("its files have another digest than the image says")
                .hint("check out the version of the project that the image was built from, and run it there"));
        }
    }
    let (sha256, _) = sha256(path, "the image")?;
    Ok(Original { image: path.to_owned(), sha256, project, lock })
}
