//! Where data about vulnerabilities comes from: a file, a directory, a zip archive, a URL. The bytes and a day are handed on.

use diorite_archive::http::{HttpClient, Options};
use diorite_archive::url;
use diorite_host::progress::{Progress, bytes};
use diorite_model::{Error, Result};
use diorite_rootfs::wheels::zip;
use diorite_trust::audit::{AdvisoryFile, DatedBy, LARGEST};
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// The variable that says where the data is.
pub const VARIABLE: &str = "DIORITE_AUDIT_DATA";

const DAY: u64 = 86400;

/// The bytes, and the day that the place they come from says they are of, in days since 1970.
pub struct FoundAdvisories {
    /// The files.
    pub files: Vec<AdvisoryFile>,
    /// When they were last changed, as far as the place says.
    pub day: Option<(u64, DatedBy)>,
}

/// What is at a path or a URL.
///
/// # Errors
/// It cannot be read or is too large; a directory or an archive has no records.
pub fn find(place: &str, progress: &Progress) -> Result<FoundAdvisories> {
    let stage = progress.stage("read the data about vulnerabilities");
    let found = match url::scheme(place) {
        Some("http" | "https") => fetched(place)?,
        _ => local(&url::file_path(place).unwrap_or_else(|| PathBuf::from(place)))?,
    };
    let total = found.files.iter().map(|file| file.bytes.len() as u64).sum();
    let count = found.files.len();
    stage.done(if count == 1 { bytes(total) } else { format!("{count} files, {}", bytes(total)) });
    Ok(found)
}

fn fetched(place: &str) -> Result<FoundAdvisories> {
    let read = HttpClient::new(Options::default())?.get_dated(place, LARGEST as u64);
    let (content, changed) = read.map_err(|failure| {
        let error = failure.into_error("the data about vulnerabilities cannot be fetched");
        error
            .hint("see whether this machine has a network and needs a proxy (https_proxy), or give a file: --data FILE")
    })?;
    let files = unpacked(place, content)?;
    Ok(FoundAdvisories { files, day: changed.map(|seconds| (seconds / DAY, DatedBy::Server)) })
}

fn local(path: &Path) -> Result<FoundAdvisories> {
    let fail = |e| Error::io("the data about vulnerabilities cannot be read", path, e);
    let about = fs::metadata(path).map_err(|e| fail(e).hint("give a file, a directory of records, or a URL"))?;
    if about.is_dir() {
        return Ok(FoundAdvisories { files: directory(path)?, day: None });
    }
    if about.len() > LARGEST as u64 {
        return Err(too_large(&path.display().to_string()));
    }
    let day = about.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok()).map(|t| t.as_secs() / DAY);
    let files = unpacked(&path.display().to_string(), content(path)?)?;
    Ok(FoundAdvisories { files, day: day.map(|day| (day, DatedBy::File)) })
}

/// A whole file; of one that is too large as much as shows it.
fn content(path: &Path) -> Result<Vec<u8>> {
    let fail = |e| Error::io("the data about vulnerabilities cannot be read", path, e);
    let mut content = Vec::new();
    let file = fs::File::open(path).map_err(fail)?;
    file.take(LARGEST as u64 + 1).read_to_end(&mut content).map_err(fail)?;
    if content.len() > LARGEST { Err(too_large(&path.display().to_string())) } else { Ok(content) }
}

fn too_large(place: &str) -> Error {
    Error::input("the data about vulnerabilities cannot be used")
        .at(place.to_owned())
        .because(format!("it is larger than {}", bytes(LARGEST as u64)))
        .hint("what is published has less than a tenth of that; fetch it again")
}

/// The records in a directory, by name.
fn directory(path: &Path) -> Result<Vec<AdvisoryFile>> {
    let fail = |e| Error::io("the directory cannot be read", path, e);
    let mut names = Vec::new();
    for entry in fs::read_dir(path).map_err(fail)? {
        let file = entry.map_err(fail)?.path();
        names.extend(file.extension().is_some_and(|ending| ending == "json").then_some(file));
    }
    names.sort();
    if names.is_empty() {
        return Err(no_records(&path.display().to_string()));
    }
    let mut files = Vec::new();
    let mut total = 0;
    for file in names {
        let bytes = content(&file)?;
        total += bytes.len();
        if total > LARGEST {
            return Err(too_large(&path.display().to_string()));
        }
        files.push(AdvisoryFile { name: file.display().to_string(), bytes });
    }
    Ok(files)
}

fn no_records(place: &str) -> Error {
    Error::input("the data about vulnerabilities cannot be used")
        .at(place.to_owned())
        .because("there is no file in it whose name ends in `.json`")
        .hint("OSV's records of Debian are such files, one for each vulnerability")
}

/// The files of a zip archive; what is none is one file.
fn unpacked(place: &str, content: Vec<u8>) -> Result<Vec<AdvisoryFile>> {
    if !content.starts_with(b"PK\x03\x04") {
        return Ok(vec![AdvisoryFile { name: place.to_owned(), bytes: content }]);
    }
    let wrong = |cause: String| {
        let error = Error::input("the data about vulnerabilities cannot be used").at(place.to_owned()).because(cause);
        error.hint("fetch the zip archive again, whole")
    };
    let mut members = zip::files(&content).map_err(wrong)?;
    members.retain(|member| member.path.ends_with(".json"));
    members.sort_by(|a, b| a.path.cmp(&b.path));
    if members.is_empty() {
        return Err(no_records(place));
    }
    if members.iter().map(|member| member.size).sum::<u64>() > LARGEST as u64 {
        return Err(too_large(place));
    }
    let one = |member: &zip::ZipFile| {
        let bytes = zip::content(&content, member).map_err(wrong)?;
        Ok(AdvisoryFile { name: format!("{place}/{}", member.path), bytes })
    };
    members.iter().map(one).collect()
}
