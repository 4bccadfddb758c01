//! The build host's apt sources → the Debian mirrors it uses. Both forms of sources.list(5) are read: deb822 stanzas
//! (`*.sources`) and one-line entries (`sources.list`, `*.list`), and the mirror lists of apt-transport-mirror(1).
//!
//! Only what serves Debian itself counts: third-party repositories, `deb-src`, disabled entries, CD-ROMs and schemes
//! Diorite does not speak are passed over. A mirror need not be trusted: what it serves is checked by signature.

use crate::url;
use std::path::{Path, PathBuf};

/// Debian mirrors found on the host, in apt's order, each once.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct HostMirrors {
    /// Roots of the main archive (the directory with `dists` and `pool`).
    pub main: Vec<String>,
    /// Roots of the security archive.
    pub security: Vec<String>,
    /// Files that were read, for the error that finds nothing in them.
    pub files: Vec<PathBuf>,
}

/// One repository as apt would read it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct AptEntry {
    uris: Vec<String>,
    suites: Vec<String>,
    components: Vec<String>,
    /// Key files; empty when there are none or the key is written out.
    signed_by: Vec<String>,
}

/// Reads `etc/apt/sources.list`, `sources.list.d/*.list` and `*.sources` below `root`. What cannot be read is passed over.
pub fn discover(root: &Path) -> HostMirrors {
    let etc = root.join("etc/apt");
    let mut files = vec![etc.join("sources.list")];
    let mut parts: Vec<_> = std::fs::read_dir(etc.join("sources.list.d"))
        .map(|entries| entries.flatten().map(|e| e.path()).collect())
        .unwrap_or_default();
    parts.sort();
    files.extend(parts);
    let mut found = HostMirrors::default();
    let mut entries = Vec::new();
    for file in files {
        let parse = match file.extension().and_then(|e| e.to_str()) {
            Some("list") => one_line,
            Some("sources") => deb822,
            _ => continue,
        };
        if let Ok(text) = std::fs::read_to_string(&file) {
            entries.extend(parse(&text));
            found.files.push(file);
        }
    }
    for entry in &mut entries {
        entry.uris = entry.uris.iter().flat_map(|uri| mirror_list(root, uri)).collect();
    }
    // Entries known by their path come first; a bare code name is weaker evidence and counts only without them.
    for strict in [true, false] {
        for entry in &entries {
            for uri in &entry.uris {
                let list = match serves(entry, uri, strict) {
                    Some(ArchiveKind::Main) => &mut found.main,
                    Some(ArchiveKind::Security) => &mut found.security,
                    None => continue,
                };
                let uri = uri.trim_end_matches('/').to_owned();
                if !list.contains(&uri) {
                    list.push(uri);
                }
            }
        }
        if !found.main.is_empty() {
            break;
        }
    }
    found
}

enum ArchiveKind {
    Main,
    Security,
}

/// Code names of Debian (the Debian project's list of releases). Only used for mirrors whose path does not say `debian`.
const CODE_NAMES: [&str; 8] = ["buster", "bullseye", "bookworm", "trixie", "forky", "duke", "sid", "unstable"];

/// What of Debian this entry serves, if anything.
fn serves(entry: &AptEntry, uri: &str, strict: bool) -> Option<ArchiveKind> {
    url::scheme(uri)?;
    // Third-party repositories under …/debian have components of their own, or a key of their own.
    let of_debian = entry.signed_by.is_empty() || entry.signed_by.iter().any(|k| k.contains("debian"));
    if !entry.components.iter().any(|c| c == "main") || !of_debian {
        return None;
    }
    let path = uri.split_once("://").map_or(uri, |(_, rest)| rest);
    let path = path.trim_end_matches('/');
    match path.rsplit_once('/').map(|(_, last)| last) {
        Some("debian") => return Some(ArchiveKind::Main),
        Some("debian-security") => return Some(ArchiveKind::Security),
        _ if strict => return None,
        _ => {}
    }
    let security = |s: &str| s.strip_suffix("-security").or_else(|| s.strip_suffix("/updates")).map(str::to_owned);
    let known = |s: &str| CODE_NAMES.contains(&s);
    if entry.suites.iter().any(|s| security(s).is_some_and(|s| known(&s))) {
        Some(ArchiveKind::Security)
    } else if entry.suites.iter().any(|s| known(s)) {
        Some(ArchiveKind::Main)
    } else {
        None
    }
}

/// `mirror+file:/etc/apt/mirrors/x.list` → the URIs in that file, in the order of their `priority:`; anything else → itself.
fn mirror_list(root: &Path, uri: &str) -> Vec<String> {
    let Some(path) = uri.strip_prefix("mirror+").and_then(url::file_path) else { return vec![uri.to_owned()] };
    let inside = root.join(path.strip_prefix("/").unwrap_or(&path));
    let text = std::fs::read_to_string(inside).unwrap_or_default();
    let mut uris = Vec::new();
    for line in text.lines().map(|l| l.split('#').next().unwrap_or("")) {
        let mut words = line.split_whitespace();
        let Some(uri) = words.next() else { continue };
        let priority = words.find_map(|w| w.strip_prefix("priority:")).and_then(|p| p.parse().ok()).unwrap_or(u32::MAX);
        uris.push((priority, uri.to_owned()));
    }
    uris.sort_by_key(|(priority, _)| *priority);
    uris.into_iter().map(|(_, uri)| uri).collect()
}

/// sources.list(5), one-line style: `deb [ option=value … ] uri suite [component …]`.
fn one_line(text: &str) -> Vec<AptEntry> {
    let mut entries = Vec::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or("").trim();
        let Some(rest) = line.strip_prefix("deb").filter(|r| r.starts_with(char::is_whitespace)) else { continue };
        let mut rest = rest.trim_start();
        let mut signed_by = Vec::new();
        if let Some(after) = rest.strip_prefix('[') {
            let Some((options, after)) = after.split_once(']') else { continue };
            for option in options.split_whitespace() {
                if let Some(keys) = option.strip_prefix("signed-by=") {
                    signed_by = keys.split(',').map(str::to_owned).collect();
                }
            }
            rest = after.trim_start();
        }
        // A CD-ROM's name stands in brackets and may hold blanks.
        if rest.starts_with("cdrom:") {
            continue;
        }
        let mut words = rest.split_whitespace().map(str::to_owned);
        let (Some(uri), Some(suite)) = (words.next(), words.next()) else { continue };
        entries.push(AptEntry { uris: vec![uri], suites: vec![suite], components: words.collect(), signed_by });
    }
    entries
}

/// sources.list(5), deb822 style: stanzas of `Field: value`, lines that begin with a blank continue the field.
fn deb822(text: &str) -> Vec<AptEntry> {
    let mut entries = Vec::new();
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in text.lines().chain([""]) {
        if line.starts_with('#') {
            continue;
        }
        if line.trim().is_empty() {
            entries.extend(stanza(&fields));
            fields.clear();
        } else if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = fields.last_mut() {
                value.push('\n');
                value.push_str(line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':') {
            fields.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    entries
}

fn stanza(fields: &[(String, String)]) -> Option<AptEntry> {
    let field = |name: &str| fields.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v.as_str());
    let words = |name: &str| field(name).split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let disabled =
        ["no", "false", "without", "off", "disable", "0"].contains(&field("enabled").to_ascii_lowercase().as_str());
    if disabled || !words("types").iter().any(|t| t == "deb") {
        return None;
    }
    let key = field("signed-by");
    let signed_by = if key.contains("BEGIN PGP") { Vec::new() } else { words("signed-by") };
    Some(AptEntry { uris: words("uris"), suites: words("suites"), components: words("components"), signed_by })
}
