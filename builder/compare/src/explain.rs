//! Two images that were to be equal → every place where they are not: partition → file → field, the step that made it, and the
//! likely cause.
//!
//! The root comes first: hash tree, command line, identifiers of partitions and the unified kernel image all follow from it, so
//! they are told only where the roots are the same.

use crate::content;
use crate::files::{self, FieldChange, FileChange};
use diorite_image::esp::ENROLMENT;
use diorite_image::pe::Pe;
use diorite_image::read::ImageReader;
use diorite_model::Result;
use serde::Serialize;

/// A place where two images differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RebuildFinding {
    /// The partition: `root`, `hash tree`, `ESP`, `partition table`.
    pub partition: String,
    /// The file, as far as one is concerned.
    pub path: Option<String>,
    /// The field of it, as a person says it: `mtime`, `content: gzip header, mtime`, `order of entries`.
    pub field: String,
    /// What the first image has.
    pub before: String,
    /// What the second image has.
    pub after: String,
    /// Who put the file there.
    pub source: Option<String>,
    /// The step of the build that made it.
    pub step: String,
    /// Why such things differ, most often.
    pub cause: String,
}

/// Words that stood for the surroundings of one of the builds, and what each is: what differs in them is no riddle.
pub type BuildSurroundings<'a> = &'a [(&'a str, &'static str)];

/// All that differs; empty when nothing that is read does.
///
/// # Errors
/// An image is damaged.
pub fn explain(a: &ImageReader, b: &ImageReader, surroundings: BuildSurroundings) -> Result<Vec<RebuildFinding>> {
    let mut findings = Vec::new();
    for file in files::compare(a, b)? {
        findings.extend(file.fields.iter().map(|field| of_file(&file, field, surroundings)));
    }
    if !findings.is_empty() {
        return Ok(findings);
    }
    if a.root_hash != b.root_hash {
        findings.push(RebuildFinding {
            partition: "root".into(),
            path: None,
            field: "the layout of the file system".into(),
            before: a.root_hash.short(16),
            after: b.root_hash.short(16),
            source: None,
            step: "filesystem".into(),
            cause: "all files are the same, and stand in other places of the partition: the writer of the file system; this is a \
                    bug of Diorite"
                .into(),
        });
        return Ok(findings);
    }
    for path in a.esp.files.keys().chain(b.esp.files.keys().filter(|path| !a.esp.files.contains_key(*path))) {
        // Keys are the signer's.
        if !path.starts_with(ENROLMENT) {
            let file = |image: &ImageReader| image.esp.files.get(path).map(|file| unsigned(file));
            findings.extend(boot_file(path, file(a).as_ref(), file(b).as_ref()));
        }
    }
    if findings.is_empty() && a.disk.partitions() != b.disk.partitions() {
        let said = |image: &ImageReader| {
            let labels = image.disk.partitions().iter().map(|p| format!("{} {}", p.label, p.sectors));
            labels.collect::<Vec<_>>().join(", ")
        };
        findings.push(RebuildFinding {
            partition: "partition table".into(),
            path: None,
            field: "partitions".into(),
            before: said(a),
            after: said(b),
            source: None,
            step: "disk".into(),
            cause: "sizes and labels follow from the recipe".into(),
        });
    }
    // The roots are the same: the first image itself says whether a byte of it is not what its root gives.
    for damage in a.damages()? {
        match findings.iter_mut().find(|finding| finding.partition == damage.part) {
            Some(finding) => {
                finding.cause = "the first image is damaged there, or another version of Diorite made it".into();
            }
            None => findings.push(RebuildFinding {
                partition: damage.part.into(),
                path: None,
                field: damage.place,
                before: damage.what,
                after: "as it is made".into(),
                source: None,
                step: "disk".into(),
                cause: "the first image is damaged there".into(),
            }),
        }
    }
    Ok(findings)
}

fn of_file(file: &FileChange, field: &FieldChange, surroundings: BuildSurroundings) -> RebuildFinding {
    let inside = field.inside.as_ref();
    let named = match inside {
        Some(inside) => format!("{}: {}", field.field, inside.what),
        None => field.field.clone(),
    };
    let (before, after) = match inside {
        Some(inside) => (inside.before.clone(), inside.after.clone()),
        None => (field.before.clone(), field.after.clone()),
    };
    let known = surroundings.iter().find(|(word, _)| before.contains(word) != after.contains(word));
    let cause = match (known, inside.and_then(|inside| inside.cause.clone())) {
        (Some((word, what)), _) => format!("{what} of the build stands in it: `{word}`"),
        (None, Some(cause)) => cause,
        (None, None) => usual(&field.field).to_owned(),
    };
    RebuildFinding {
        partition: "root".into(),
        path: Some(file.path.clone()),
        field: named,
        before,
        after,
        source: file.source_after.clone().or_else(|| file.source_before.clone()),
        step: file.step.clone().unwrap_or_else(|| "filesystem".into()),
        cause,
    }
}

/// Why a field differs, most often.
fn usual(field: &str) -> &'static str {
    match field {
        "mtime" => "a script set a time from the clock, or the file was not clamped to the image's time",
        "mode" => "a script made the file with the umask of its surroundings",
        "owner" => "accounts were numbered in another order, or the file was given the ids of whoever built",
        "exists" => "a script makes the file only sometimes: it asks the host, the clock or the network",
        "target" => "the link was chosen by an order that is not fixed, as alternatives of equal priority are",
        "same file as" => "hard links were made in another order",
        field if field.starts_with("attribute ") => {
            "a capability or an access list that the host's file system or kernel refused"
        }
        _ => "the file was changed, or a script writes something of its surroundings into it",
    }
}

fn boot_file(path: &str, a: Option<&Vec<u8>>, b: Option<&Vec<u8>>) -> Option<RebuildFinding> {
    let finding = |field: String, before: String, after: String, step: &str, cause: &str| RebuildFinding {
        partition: "ESP".into(),
        path: Some(format!("/{path}")),
        field,
        before,
        after,
        source: None,
        step: step.into(),
        cause: cause.into(),
    };
    let there = |file: Option<&Vec<u8>>| if file.is_some() { "yes" } else { "no" }.to_owned();
    let (Some(x), Some(y)) = (a, b) else {
        return Some(finding(
            "exists".into(),
            there(a),
            there(b),
            "disk",
            "another version of Diorite made one of them",
        ));
    };
    if x == y {
        return None;
    }
    let section = |bytes: &[u8]| Pe::parse(bytes.to_vec()).ok();
    if let (Some(p), Some(q)) = (section(x), section(y)) {
        let names = p.sections().unwrap_or_default().into_iter().map(|s| s.name);
        for name in names {
            let (p, q) = (p.section(&name).ok().flatten()?, q.section(&name).ok().flatten().unwrap_or_default());
            if p != q {
                let found = content::difference(p, q);
                let cause = match name.as_str() {
                    ".initrd" => {
                        "the initrd is packed from the root, and the roots are the same: the writer of the initrd; this is a \
                                  bug of Diorite"
                    }
                    _ => "the section follows from recipe and root",
                };
                return Some(finding(
                    format!("section {name}: {}", found.what),
                    found.before,
                    found.after,
                    "disk",
                    cause,
                ));
            }
        }
        let (before, after) = (size(x), size(y));
        return Some(finding("header".into(), before, after, "disk", "the header follows from the sections"));
    }
    let found = content::difference(x, y);
    Some(finding(format!("content: {}", found.what), found.before, found.after, "disk", "the file comes from the root"))
}

/// A program without its signature; anything else as it is.
fn unsigned(file: &[u8]) -> Vec<u8> {
    let plain = Pe::parse(file.to_vec()).and_then(Pe::unsigned).map(Pe::into_bytes);
    plain.unwrap_or_else(|_| file.to_vec())
}

fn size(bytes: &[u8]) -> String {
    format!("{} bytes", bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::InnerDifference;

    fn finding(field: &str, inside: Option<InnerDifference>, surroundings: BuildSurroundings) -> RebuildFinding {
        let (before, after) = ("one".to_owned(), "other".to_owned());
        let field = FieldChange { field: field.into(), before, after, inside };
        let file = FileChange {
            path: "/etc/x".into(),
            source_before: None,
            source_after: Some("package x".into()),
            package: Some("x".into()),
            fields: Vec::new(),
            step: Some("tree".into()),
            raw: [None, None],
        };
        of_file(&file, &field, surroundings)
    }

    #[test]
    fn the_surroundings_of_a_build_are_recognised_in_what_differs() {
        let line = |after: &str| InnerDifference {
            what: "line 3".into(),
            before: "made by first".into(),
            after: after.into(),
            cause: Some("a random value".into()),
        };
        let words = [("another-host.invalid", "the name of the host")];
        let known = finding("content", Some(line("made by another-host.invalid")), &words);
        assert_eq!((known.field.as_str(), known.step.as_str()), ("content: line 3", "tree"));
        assert_eq!(known.cause, "the name of the host of the build stands in it: `another-host.invalid`");
        let unknown = finding("content", Some(line("made by second")), &words);
        assert_eq!(unknown.cause, "a random value");
    }

    #[test]
    fn every_field_has_a_likely_cause() {
        let fields = [
            "exists",
            "kind",
            "mode",
            "owner",
            "mtime",
            "attribute user.x",
            "target",
            "device",
            "same file as",
            "content",
        ];
        let causes: Vec<String> = fields.iter().map(|field| finding(field, None, &[]).cause).collect();
        assert!(causes.iter().all(|cause| cause.len() > 20), "{causes:?}");
        assert!(causes[4].contains("clock") && causes[2].contains("umask"), "{causes:?}");
    }

    #[test]
    fn a_boot_file_is_told_by_its_difference() {
        let (a, b) = (b"timeout 0\n".to_vec(), b"timeout 5\n".to_vec());
        let found = boot_file("loader/loader.conf", Some(&a), Some(&b)).expect("they differ");
        assert_eq!((found.path.as_deref(), found.field.as_str()), (Some("/loader/loader.conf"), "content: line 1"));
        assert!(boot_file("loader/loader.conf", Some(&a), Some(&a)).is_none());
        assert_eq!(boot_file("x", Some(&a), None).expect("it is missing").field, "exists");
    }
}
