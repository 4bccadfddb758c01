//! Plan: the steps, their keys, and which are already in the store; nothing done yet.

use crate::Digest;
use crate::profile::forms::{IMAGE_NAME, IMAGE_VERSION};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One input-addressed step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// `tree`, `container web`, `configure`, `filesystem`, `disk`; of a signed image `uki` and `sign`.
    pub name: String,
    /// Digest of every input, and of the program that runs the step.
    pub key: Digest,
    /// The store already holds the result.
    pub hit: bool,
}

/// What a finished step cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepResult {
    /// The step.
    #[serde(flatten)]
    pub step: Step,
    /// Wall-clock seconds.
    pub seconds: f64,
    /// Bytes of the result.
    pub bytes: u64,
}

/// `out/NAME/build.json`. One that is read from a file has names of the same forms as those of a profile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct Build {
    /// Version of this format: 1.
    pub schema: u32,
    /// Image name.
    pub name: String,
    /// Image version.
    pub version: String,
    /// SHA-256 of disk.raw.
    pub disk_sha256: Digest,
    /// dm-verity root hash.
    pub root_hash: Digest,
    /// Digest of the recipe.
    pub recipe_digest: Digest,
    /// Digest of the lock.
    pub lock_digest: Digest,
    /// Of an image for Secure Boot: whose signature it bears, and what it is without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing: Option<BuildSigning>,
    /// The programs that made the image and are not in it. Every step runs in Diorite itself, so this is one.
    pub tools: Vec<BuildTool>,
    /// The steps in order.
    pub steps: Vec<StepResult>,
}

/// What a signed image is apart from its signatures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildSigning {
    /// SHA-256 of the certificate (DER) whose key has signed; none where nobody has.
    pub certificate: Option<Digest>,
    /// A digest of root hash and boot programs without their signatures: the same whoever signs.
    pub unsigned_sha256: Digest,
}

/// A program that made an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildTool {
    /// Program.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of its file.
    pub sha256: Digest,
}

impl BuildTool {
    /// The program that is running: the digest is part of every step's key.
    pub fn diorite(version: &str, sha256: Digest) -> Self {
        Self { name: "diorite".into(), version: version.into(), sha256 }
    }
}

/// One run of a program of the tools tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolRun {
    /// Program.
    pub name: String,
    /// Package version.
    pub version: String,
    /// Arguments.
    pub argv: Vec<String>,
}

impl Build {
    /// The version of this format.
    pub const SCHEMA: u32 = 1;
}

impl Serialize for Build {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        // What serde has derived for the fields, by `remote = "Self"`.
        Build::serialize(self, to)
    }
}

impl<'de> Deserialize<'de> for Build {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let build = Build::deserialize(from)?;
        let refused = |cause: String| Err(serde::de::Error::custom(cause));
        if build.schema != Self::SCHEMA {
            return refused(format!("it has schema {}, and this version reads {}", build.schema, Self::SCHEMA));
        }
        for (what, text, form) in [("name", &build.name, IMAGE_NAME), ("version", &build.version, IMAGE_VERSION)] {
            let fits = if text.len() > form.longest { Err("it is too long".into()) } else { (form.check)(text) };
            if let Err(cause) = fits {
                return refused(format!("`{what}` cannot be `{}`: {cause}", text.escape_debug()));
            }
        }
        if let Some(step) = build.steps.iter().find(|s| s.step.name.chars().any(char::is_control)) {
            return refused(format!("a step cannot be called `{}`", step.step.name.escape_debug()));
        }
        Ok(build)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn a_build_is_read_back_and_hostile_ones_are_not() {
        let digest = Digest::of(b"x");
        let step =
            StepResult { step: Step { name: "container web".into(), key: digest, hit: false }, seconds: 1.0, bytes: 2 };
        let build = Build {
            schema: Build::SCHEMA,
            name: "web".into(),
            version: "1.2".into(),
            disk_sha256: digest,
            root_hash: digest,
            recipe_digest: digest,
            lock_digest: digest,
            signing: None,
            tools: vec![],
            steps: vec![step],
        };
        let good = serde_json::to_value(&build).expect("JSON");
        assert_eq!(serde_json::from_value::<Build>(good.clone()).expect("a build"), build);
        let with = |path: &str, value: Value| {
            let mut json = good.clone();
            *json.pointer_mut(path).expect("it is there") = value;
            serde_json::from_value::<Build>(json).expect_err(path).to_string()
        };
        assert_eq!(with("/schema", json!(2)), "it has schema 2, and this version reads 1");
        assert!(with("/name", json!("../web")).starts_with("`name` cannot be `../web`: "));
        assert!(with("/name", json!("w".repeat(25))).ends_with("it is too long"));
        assert!(with("/version", json!("$(id)")).starts_with("`version` cannot be"));
        assert!(with("/steps/0/name", json!("disk\u{1b}[2J")).starts_with("a step cannot be called"));
    }
}
