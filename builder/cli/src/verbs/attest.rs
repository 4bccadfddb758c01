//! `attest`: what is known of an image becomes signed statements about its digest; and which of them hold.

use super::inspect::carried;
use crate::args::{AttestShowArgs, AttestSignArgs, AttestVerb, AttestVerifyArgs};
use crate::attestations::{self, ENDING, SignedFiles};
use crate::context::Context;
use crate::results::Results;
use crate::subject::NamedSubject;
use crate::{disks, file, out, print_attest as print, signer};
use diorite_archive::lockfile;
use diorite_host::file::sha256;
use diorite_image::read::ImageReader;
use diorite_model::plan::Build;
use diorite_model::report::Report;
use diorite_model::{Digest, Error, Exit, Result};
use diorite_trust::attest::{self, ProvenanceInputs, StatementKind, SummaryInputs, TestInputs};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Runs what was asked for.
pub fn run(verb: &AttestVerb, context: &Context) -> Result<Exit> {
    match verb {
        AttestVerb::Sign(args) => sign(args, context),
        AttestVerb::Verify(args) => verify(args, context),
        AttestVerb::Show(args) => show(args, context),
    }
}

fn sign(args: &AttestSignArgs, context: &Context) -> Result<Exit> {
    let signer = signer::of(&args.signer)?;
    let subject = NamedSubject::of(&args.image, &args.paths)?;
    let disk = subject.image()?;
    let results = Results::beside(&disk);
    let build = results.read_build(&args.image, "`diorite build` first, and sign in its directory of results")?;
    // Signing in the directory of a build takes no second for that.
    let found = if results.raw() == disk && results.untouched() {
        build.disk_sha256
    } else {
        let stage = context.progress.stage("compare the disk with build.json");
        let found = disks::raw_digest(&disk)?;
        stage.done(found.short(12));
        found
    };
    if found != build.disk_sha256 {
        return Err(Error::input("the disk is not the one that was built")
            .at(disk.display().to_string())
            .because(format!("its SHA-256 is {found}, build.json says {}", build.disk_sha256))
            .hint("build again"));
    }
    let mut signed = SignedFiles { disk: found, key: signer.public().id(), written: Vec::new(), left_out: Vec::new() };
    let statement = provenance(&subject, &disk, &results, &build, &args.builder_id)?;
    let mut inputs = vec![attestations::write(&results, StatementKind::Provenance, &statement, &*signer, &mut signed)?];
    match report(&results, &build)? {
        Ok((report, report_file)) => {
            let statement = attest::test_result(TestInputs { report: &report, report_file });
            inputs.push(attestations::write(&results, StatementKind::TestResult, &statement, &*signer, &mut signed)?);
            let summary = SummaryInputs { report: &report, attestations: &inputs, version: env!("CARGO_PKG_VERSION") };
            attestations::write(&results, StatementKind::Vsa, &attest::summary(&summary), &*signer, &mut signed)?;
        }
        Err(why) => {
            signed.left_out = [StatementKind::TestResult, StatementKind::Vsa].map(|kind| (kind, why.clone())).into()
        }
    }
    out::print(print::signed(&signed, context.json))?;
    Ok(Exit::Done)
}

/// What the image was made from: by what it carries, the lock of its profile where that is known, and build.json.
fn provenance(subject: &NamedSubject, disk: &Path, results: &Results, build: &Build, builder: &str) -> Result<Vec<u8>> {
    let image = ImageReader::open(disk)?;
    let carried = carried(&image)?;
    if carried.recipe.digest() != build.recipe_digest || image.root_hash != build.root_hash {
        return Err(Error::input("build.json is of another image than the disk")
            .at(results.build().display().to_string())
            .because("recipe or root hash differ")
            .hint("build again"));
    }
    let lock = match subject {
        NamedSubject::Profile(project) => disks::built(project, false)?.1,
        _ => lockfile::parse(&carried.lock, disk)?,
    };
    let byproduct = |(name, path): (&str, PathBuf)| {
        path.exists().then(|| sha256(&path, name).map(|(digest, _)| (name.to_owned(), digest)))
    };
    let byproducts = results.described().into_iter().filter_map(byproduct).collect::<Result<Vec<_>>>()?;
    Ok(attest::provenance(&ProvenanceInputs {
        build,
        recipe_file: Digest::of(&file::pretty(&carried.recipe)),
        lock: &lock,
        lock_file: Digest::of(lockfile::text(&lock).as_bytes()),
        overlays: &carried.description.overlays,
        byproducts: &byproducts,
        builder,
    }))
}

/// The report about this build and the digest of its file, or why there is none.
fn report(results: &Results, build: &Build) -> Result<Result<(Report, Digest), String>> {
    let path = results.report();
    if !path.exists() {
        return Ok(Err("the image has not been verified: there is no report.json".into()));
    }
    let text = fs::read(&path).map_err(|e| Error::io("the report cannot be read", &path, e))?;
    let report: Report = serde_json::from_slice(&text).map_err(|e| {
        Error::input("report.json is damaged").at(path.display().to_string()).because(e).hint("verify the image again")
    })?;
    Ok(match report {
        report if report.schema != Report::SCHEMA => Err("another version of Diorite has written report.json".into()),
        report if report.disk_sha256 != build.disk_sha256 => {
            Err("report.json is about another disk: verify this one".into())
        }
        report if report.recipe_digest != build.recipe_digest => {
            Err("report.json was made with another recipe: verify again".into())
        }
        report => Ok((report, Digest::of(&text))),
    })
}

fn verify(args: &AttestVerifyArgs, context: &Context) -> Result<Exit> {
    let policy = args.policy.as_deref().map(attestations::policy_file).transpose()?;
    let keys = args.key.iter().map(|file| attestations::key(file)).collect::<Result<Vec<_>>>()?;
    let disk = NamedSubject::of(&args.image, &args.paths)?.image()?;
    let directory = args.attestations.clone().unwrap_or_else(|| Results::beside(&disk).attestations());
    let stage = context.progress.stage("digest of the disk");
    let sha256 = disks::raw_digest(&disk)?;
    stage.done(sha256.short(12));
    let required = policy.or_else(|| {
        let require: Vec<_> = args.require.iter().filter_map(|name| StatementKind::of(name)).collect();
        let place = "--require".to_owned();
        (!require.is_empty()).then(|| attest::AttestationPolicy {
            keys: keys.clone(),
            require,
            max_age_days: None,
            place,
        })
    });
    let (held, keys) = match required {
        Some(policy) => (attestations::judge(&policy, &directory, sha256)?, policy.keys),
        None => (every(&directory, &keys, sha256)?, keys),
    };
    out::print(print::held(&disk, sha256, &held, &keys, context.json))?;
    Ok(Exit::Done)
}

/// Every attestation of a directory holds.
fn every(directory: &Path, keys: &[attest::TrustedKey], disk: Digest) -> Result<Vec<attest::HeldStatement>> {
    let files = attestations::files_for(directory, disk)?;
    if files.is_empty() {
        let because = match attestations::set_aside_before(directory)?.len() {
            0 => format!("the directory has no file `*{ENDING}`, or is not there"),
            others => {
                format!("the directory has only statements about other disks, set aside by builds: {others} of them")
            }
        };
        return Err(Error::new(Exit::VerificationFailed, "there is no attestation for the disk")
            .at(directory.display().to_string())
            .because(because)
            .hint("`diorite attest sign` makes some; --attestations names another directory"));
    }
    let (mut held, mut wrong) = (Vec::new(), Vec::new());
    for file in &files {
        match attest::verify(&file.bytes, &file.place, keys, disk) {
            Ok(statement) => held.push(statement),
            Err(error) => wrong.push(error),
        }
    }
    match Error::all(wrong) {
        Some(error) => Err(error),
        None => Ok(held),
    }
}

fn show(args: &AttestShowArgs, context: &Context) -> Result<Exit> {
    let (files, others) = match args.image.ends_with(ENDING) {
        true => (vec![attestations::read(Path::new(&args.image))?], BTreeMap::new()),
        false => {
            let disk = NamedSubject::of(&args.image, &args.paths)?.image()?;
            let directory = Results::beside(&disk).attestations();
            let (files, others) = (attestations::files(&directory)?, attestations::set_aside_before(&directory)?);
            if files.is_empty() && others.is_empty() {
                return Err(Error::input("there is no attestation for the disk")
                    .at(directory.display().to_string())
                    .hint("`diorite attest sign` makes some"));
            }
            (files, others)
        }
    };
    let read = |file: &attest::AttestationFile| {
        let signed = attest::SignedStatement::read(&file.bytes, &file.place)?;
        let statement = attest::ImageStatement::read(&signed.payload, &file.place)?;
        Ok((file.place.clone(), signed.hint, statement))
    };
    let all = files.iter().map(read).collect::<Result<Vec<_>>>()?;
    out::print(print::shown(&all, &others, context.json))?;
    Ok(Exit::Done)
}
