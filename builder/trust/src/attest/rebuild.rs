//! A rebuild that made the same bytes → in-toto Test Result with one test.
//! <https://github.com/in-toto/attestation/blob/main/spec/predicates/test-result.md>

use super::statement::{REBUILD, Resource, StatementKind, write};
use diorite_model::plan::Build;
use serde::Serialize;

/// What is known of a rebuild.
#[derive(Debug)]
pub struct RebuildInputs<'a> {
    /// build.json of the disk that was made again: its digest is that of the first one.
    pub build: &'a Build,
    /// What was different for it, in words.
    pub changed: &'a [String],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RebuildResult<'a> {
    result: &'static str,
    configuration: Vec<Resource>,
    passed_tests: [&'static str; 1],
    warned_tests: [&'static str; 0],
    failed_tests: [&'static str; 0],
    /// [`super::statement::MORE`].
    #[serde(rename = "urn:diorite:seen")]
    seen: OtherSurroundings<'a>,
}

#[derive(Serialize)]
struct OtherSurroundings<'a> {
    changed: &'a [String],
}

/// The statement that somebody has built the image again from its recipe and lock, and got the same bytes.
pub fn rebuild(inputs: &RebuildInputs) -> Vec<u8> {
    let build = inputs.build;
    let mut configuration = vec![Resource { uri: Some(REBUILD.into()), ..Resource::default() }];
    configuration.push(Resource::file("recipe", build.recipe_digest));
    configuration.push(Resource::file("lock", build.lock_digest));
    configuration.extend(build.tools.iter().map(|tool| Resource::file(&tool.name, tool.sha256)));
    let predicate = RebuildResult {
        result: "PASSED",
        configuration,
        passed_tests: ["same-bytes"],
        warned_tests: [],
        failed_tests: [],
        seen: OtherSurroundings { changed: inputs.changed },
    };
    write(StatementKind::Rebuild, build.disk_sha256, &predicate)
}
