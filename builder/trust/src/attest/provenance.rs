//! Build, recipe, lock, overlays → SLSA provenance v1. <https://slsa.dev/spec/v1.1/provenance>
//!
//! Every byte that decided the image is a resolved dependency; what only drives or tests it (the program, the tools tree) is a
//! dependency of the builder. Times are left out: they are not of the image.

use super::statement::{BUILD, OVERLAY, Resource, StatementKind, VERITY, write};
use crate::sbom::{debian_url, python_url};
use diorite_model::plan::Build;
use diorite_model::{Digest, Lock, LockedPackage};
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeMap;

/// What is known of a build.
#[derive(Debug)]
pub struct ProvenanceInputs<'a> {
    /// build.json.
    pub build: &'a Build,
    /// SHA-256 of recipe.json.
    pub recipe_file: Digest,
    /// The lock: with the tools tree, or as the image carries it.
    pub lock: &'a Lock,
    /// SHA-256 of the text of that lock.
    pub lock_file: Digest,
    /// Overlays by name, with the digest of paths, modes and contents.
    pub overlays: &'a BTreeMap<String, Digest>,
    /// What else the build left, by name of file.
    pub byproducts: &'a [(String, Digest)],
    /// Who vouches for where it was built: a URI.
    pub builder: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SlsaProvenance {
    build_definition: Definition,
    run_details: Details,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Definition {
    build_type: &'static str,
    external_parameters: BTreeMap<&'static str, String>,
    internal_parameters: BTreeMap<&'static str, BTreeMap<String, Digest>>,
    resolved_dependencies: Vec<Resource>,
}

#[derive(Serialize)]
struct Details {
    builder: SlsaBuilder,
    byproducts: Vec<Resource>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SlsaBuilder {
    id: String,
    version: BTreeMap<String, String>,
    builder_dependencies: Vec<Resource>,
}

/// The statement of how the image was made.
pub fn provenance(inputs: &ProvenanceInputs) -> Vec<u8> {
    let ProvenanceInputs { build, lock, .. } = inputs;
    let parameters = [
        ("name", build.name.clone()),
        ("version", build.version.clone()),
        ("recipe", build.recipe_digest.to_string()),
        ("lock", build.lock_digest.to_string()),
    ];
    let steps = build.steps.iter().map(|result| (result.step.name.clone(), result.step.key)).collect();
    let tools = lock.tools.iter().map(|package| locked(package, "tools"));
    let programs = build.tools.iter().map(|tool| Resource::file(&tool.name, tool.sha256));
    let files = inputs.byproducts.iter().map(|(name, sha256)| Resource::file(name, *sha256));
    let predicate = SlsaProvenance {
        build_definition: Definition {
            build_type: BUILD,
            external_parameters: parameters.into(),
            internal_parameters: [("steps", steps)].into(),
            resolved_dependencies: dependencies(inputs),
        },
        run_details: Details {
            builder: SlsaBuilder {
                id: inputs.builder.to_owned(),
                version: build.tools.iter().map(|tool| (tool.name.clone(), tool.version.clone())).collect(),
                builder_dependencies: programs.chain(tools).collect(),
            },
            byproducts: [Resource::named("root hash", VERITY, build.root_hash)].into_iter().chain(files).collect(),
        },
    };
    write(StatementKind::Provenance, build.disk_sha256, &predicate)
}

/// Recipe, lock, signed release files, overlays, and every file that the lock names for the image.
fn dependencies(inputs: &ProvenanceInputs) -> Vec<Resource> {
    let lock = inputs.lock;
    let mut all = vec![Resource::file("recipe.json", inputs.recipe_file), Resource::file("lock", inputs.lock_file)];
    all.extend(
        lock.release.iter().map(|(name, release)| Resource::file(format!("InRelease of {name}"), release.sha256)),
    );
    all.extend(
        inputs.overlays.iter().map(|(name, digest)| Resource::named(format!("overlay {name}"), OVERLAY, *digest)),
    );
    all.extend(lock.image.iter().map(|package| locked(package, "image")));
    for (kind, lists) in [("container", &lock.container), ("wheels", &lock.wheels)] {
        for (name, list) in lists {
            let part = format!("{kind} {name}");
            all.extend(list.iter().map(|package| locked(package, &part)));
        }
    }
    all
}

/// A file of the lock, and the part of the image that it is for.
fn locked(package: &LockedPackage, part: &str) -> Resource {
    let uri = match package {
        p if p.is_deb() => Some(debian_url(&p.name, &p.version, &p.architecture)),
        p if p.is_wheel() => Some(python_url(&p.name, &p.version)),
        _ => None,
    };
    let annotations = [("release", &*package.release), ("part", part), ("path", &*package.path)];
    Resource {
        uri,
        annotations: annotations.into_iter().map(|(key, value)| (key.to_owned(), json!(value))).collect(),
        ..Resource::file(package.file_name(), package.sha256)
    }
}
