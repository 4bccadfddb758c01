//! The dpkg database as dpkg itself would have written it: status, info, triggers (dpkg(1), deb-triggers(5)).
//!
//! A wrong name in `info` or a missing `format` is no error to dpkg: it believes that the package has no files. So
//! names follow its rule exactly: `PACKAGE:ARCHITECTURE` only for `Multi-Arch: same`.

use crate::deb::MemberKind;
use crate::extract::{Ownership, Root};
use crate::staging::{StagedPackage, conffiles};
use diorite_model::recipe::FileFilter;
use diorite_model::{Error, Result};
use std::collections::{BTreeMap, HashMap};

/// Where the database is in the tree.
pub const ADMIN: &str = "var/lib/dpkg";
/// The package that stands for the initrd, which is not made by Debian's tools.
pub const INITRD: &str = "diorite-initrd";

/// Makes an empty database.
pub fn create(root: &mut Root) -> Result<()> {
    for name in ["info", "updates", "triggers", "parts", "alternatives"] {
        root.directories(format!("{ADMIN}/{name}").as_bytes())?;
    }
    for name in ["status", "diversions", "statoverride", "triggers/Unincorp"] {
        root.write(format!("{ADMIN}/{name}").as_bytes(), b"", 0o644)?;
    }
    root.write(format!("{ADMIN}/info/format").as_bytes(), b"1\n", 0o644)
}

/// The name by which info files and triggers know a package.
pub fn info_name(staged: &StagedPackage) -> String {
    match staged.deb.control.get("Multi-Arch") {
        Some("same") => format!("{}:{}", staged.deb.name(), staged.deb.architecture()),
        _ => staged.deb.name().to_owned(),
    }
}

/// Where the database keeps one file about a package.
pub fn info_path(staged: &StagedPackage, file: &str) -> String {
    format!("{ADMIN}/info/{}.{file}", info_name(staged))
}

/// Writes a package's info files. `list` has its paths without leading slash. Checksums are of what the filter keeps, so
/// that `dpkg --verify` misses nothing.
pub fn write_info(root: &mut Root, staged: &StagedPackage, list: &[Vec<u8>], filter: &FileFilter) -> Result<()> {
    let path = |name: &str| info_path(staged, name);
    for (name, member) in &staged.deb.members {
        match name.as_str() {
            "md5sums" if !filter.is_everything() => {
                root.write(path(name).as_bytes(), &kept_sums(&member.bytes, filter), member.mode)?;
            }
            _ => root.write(path(name).as_bytes(), &member.bytes, member.mode)?,
        }
    }
    root.write(path("list").as_bytes(), &list_text(list), 0o644)?;
    if !staged.deb.members.contains_key("md5sums") {
        let mut sums = Vec::new();
        for file in staged.files.iter() {
            if let (MemberKind::File(_), Some(md5)) = (&file.member.kind, &file.md5)
                && filter.keeps(&file.member.path)
            {
                sums.extend_from_slice(format!("{md5}  ").as_bytes());
                sums.extend_from_slice(&file.member.path);
                sums.push(b'\n');
            }
        }
        root.write(path("md5sums").as_bytes(), &sums, 0o644)?;
    }
    Ok(())
}

/// The lines of deb-md5sums(5), `MD5  path`, of what a filter keeps.
fn kept_sums(sums: &[u8], filter: &FileFilter) -> Vec<u8> {
    let keeps = |line: &&[u8]| {
        let path = line.strip_suffix(b"\n").unwrap_or(line).get(34..).unwrap_or_default();
        filter.keeps(path.strip_prefix(b"./").unwrap_or(path))
    };
    sums.split_inclusive(|&b| b == b'\n').filter(keeps).collect::<Vec<_>>().concat()
}

/// Writes a package's list again, after another one replaced some of its files.
pub fn write_list(root: &mut Root, staged: &StagedPackage, list: &[Vec<u8>]) -> Result<()> {
    root.write(info_path(staged, "list").as_bytes(), &list_text(list), 0o644)
}

fn list_text(list: &[Vec<u8>]) -> Vec<u8> {
    let mut text = b"/.\n".to_vec();
    for path in list.iter().filter(|p| !p.is_empty()) {
        text.push(b'/');
        text.extend_from_slice(path);
        text.push(b'\n');
    }
    text
}

/// The paragraph of one package in the status file.
fn entry(staged: &StagedPackage, status: &str) -> String {
    let mut text = String::new();
    for line in staged.deb.control.text.lines() {
        text.push_str(line);
        text.push('\n');
        if line.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("package:")) {
            text.push_str(&format!("Status: {status}\n"));
        }
    }
    let conffiles = conffiles(&staged.deb);
    if !conffiles.is_empty() {
        let sums: HashMap<&[u8], &str> =
            staged.files.iter().filter_map(|f| Some((f.member.path.as_slice(), f.md5.as_deref()?))).collect();
        text.push_str("Conffiles:\n");
        for conffile in conffiles {
            let sum = sums.get(conffile.path.as_slice()).copied().unwrap_or("newconffile");
            let obsolete = if conffile.obsolete { " remove-on-upgrade" } else { "" };
            text.push_str(&format!(" /{} {sum}{obsolete}\n", String::from_utf8_lossy(&conffile.path)));
        }
    }
    text.push('\n');
    text
}

/// Writes the status file: these packages unpacked, and at most one whose preinst is about to run.
pub fn write_status<'a>(
    root: &mut Root,
    unpacked: impl IntoIterator<Item = &'a StagedPackage>,
    installing: Option<&StagedPackage>,
    initrd: bool,
) -> Result<()> {
    let mut entries: BTreeMap<(String, String), String> = BTreeMap::new();
    let key = |s: &StagedPackage| (s.deb.name().to_owned(), s.deb.architecture().to_owned());
    for staged in unpacked {
        entries.insert(key(staged), entry(staged, "install ok unpacked"));
    }
    if let Some(staged) = installing {
        entries.insert(key(staged), entry(staged, "install reinstreq half-installed"));
    }
    if initrd {
        entries.insert((INITRD.into(), "all".into()), format!("{INITRD_ENTRY}\n"));
    }
    let text: String = entries.into_values().collect();
    root.write(format!("{ADMIN}/status").as_bytes(), text.as_bytes(), 0o644)
}

/// Kernels depend on something that makes an initrd. Diorite does, outside the machine; this entry says so to dpkg and
/// apt, also in the finished image (docs/decisions/initrd-provider.md).
pub const INITRD_ENTRY: &str = "\
Package: diorite-initrd
Status: install ok installed
Priority: optional
Section: kernel
Maintainer: Diorite <diorite@localhost>
Architecture: all
Version: 1
Provides: linux-initramfs-tool
Description: initrd assembled by the image builder
 The initrd of this machine is part of its signed image and is never made on it.
";

/// Whether some package needs a maker of initrds and none brings one.
pub fn needs_initrd(staged: &[StagedPackage]) -> bool {
    const VIRTUAL: &str = "linux-initramfs-tool";
    let has =
        |s: &StagedPackage, field: &str| s.deb.control.relations(field).iter().flatten().any(|r| r.name == VIRTUAL);
    staged.iter().any(|s| has(s, "Depends") || has(s, "Pre-Depends"))
        && !staged.iter().any(|s| has(s, "Provides") || s.deb.name() == VIRTUAL)
}

/// Writes the files of [`INITRD_ENTRY`]; without an empty md5sums `dpkg --audit` would name it.
pub fn write_initrd(root: &mut Root) -> Result<()> {
    root.write(format!("{ADMIN}/info/{INITRD}.list").as_bytes(), b"/.\n", 0o644)?;
    root.write(format!("{ADMIN}/info/{INITRD}.md5sums").as_bytes(), b"", 0o644)
}

/// Writes who is interested in which trigger: `File` for paths, one file for each name.
pub fn write_triggers<'a>(root: &mut Root, packages: impl IntoIterator<Item = &'a StagedPackage>) -> Result<()> {
    let mut paths = String::new();
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    for staged in packages {
        for line in staged.deb.text("triggers").lines() {
            let words: Vec<&str> = line.split('#').next().unwrap_or_default().split_whitespace().collect();
            let [verb, trigger] = words[..] else { continue };
            let option = match verb {
                "interest" | "interest-await" => "",
                "interest-noawait" => "/noawait",
                _ => continue,
            };
            let who = info_name(staged);
            if trigger.starts_with('/') {
                paths.push_str(&format!("{trigger} {who}{option}\n"));
            } else if trigger.contains('/') {
                return Err(Error::input(format!("package `{}` has a trigger with a slash in it", staged.deb.name()))
                    .at(trigger.to_owned()));
            } else {
                names.entry(trigger.to_owned()).or_default().push_str(&format!("{who}{option}\n"));
            }
        }
    }
    root.write(format!("{ADMIN}/triggers/File").as_bytes(), paths.as_bytes(), 0o644)?;
    for (name, text) in names {
        root.write(format!("{ADMIN}/triggers/{name}").as_bytes(), text.as_bytes(), 0o644)?;
    }
    Ok(())
}

/// User or group names and numbers from passwd(5) or group(5).
pub fn ids(root: &mut Root, file: &str) -> Result<HashMap<Vec<u8>, u32>> {
    let text = root.read(file.as_bytes())?.unwrap_or_default();
    let line = |line: &[u8]| {
        let mut fields = line.split(|&b| b == b':');
        let name = fields.next()?.to_vec();
        Some((name, std::str::from_utf8(fields.nth(1)?).ok()?.parse().ok()?))
    };
    Ok(text.split(|&b| b == b'\n').filter_map(line).collect())
}

/// Diverted path → its target and the package that diverted it, `:` for the administrator.
pub type Diversions = BTreeMap<Vec<u8>, (Vec<u8>, String)>;

/// The diversions: three lines each, path, target, package or `:`.
pub fn diversions(root: &mut Root) -> Result<Diversions> {
    let text = root.read(format!("{ADMIN}/diversions").as_bytes())?.unwrap_or_default();
    let lines: Vec<&[u8]> = text.split(|&b| b == b'\n').filter(|l| !l.is_empty()).collect();
    let path = |p: &[u8]| p.strip_prefix(b"/").unwrap_or(p).to_vec();
    Ok(lines.chunks_exact(3).map(|c| (path(c[0]), (path(c[1]), String::from_utf8_lossy(c[2]).into_owned()))).collect())
}

/// The overrides of dpkg-statoverride(1): `user group mode path`, ids by name or as `#number`.
pub fn overrides(
    root: &mut Root,
    users: &HashMap<Vec<u8>, u32>,
    groups: &HashMap<Vec<u8>, u32>,
) -> Result<BTreeMap<Vec<u8>, Ownership>> {
    let text = root.read(format!("{ADMIN}/statoverride").as_bytes())?.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let mut found = BTreeMap::new();
    for line in text.lines() {
        let mut words = line.splitn(4, ' ');
        let (Some(user), Some(group), Some(mode), Some(path)) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            continue;
        };
        let id = |name: &str, known: &HashMap<Vec<u8>, u32>| match name.strip_prefix('#') {
            Some(number) => number.parse().ok(),
            None => known.get(name.as_bytes()).copied(),
        };
        if let (Some(uid), Some(gid), Ok(mode)) = (id(user, users), id(group, groups), u32::from_str_radix(mode, 8)) {
            found.insert(path.trim_start_matches('/').as_bytes().to_vec(), Ownership { uid, gid, mode });
        }
    }
    Ok(found)
}

/// Packages that are not fully installed, with their state, from the status file as dpkg left it.
pub fn not_installed(root: &mut Root) -> Result<Vec<(String, String)>> {
    let text = root.read(format!("{ADMIN}/status").as_bytes())?.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let mut wrong = Vec::new();
    for paragraph in text.split("\n\n").filter(|p| !p.trim().is_empty()) {
        let field = |name: &str| paragraph.lines().find_map(|l| l.strip_prefix(name)).unwrap_or_default().trim();
        let pending = ["Triggers-Pending:", "Triggers-Awaited:"].iter().any(|f| !field(f).is_empty());
        if field("Status:") != "install ok installed" || pending {
            wrong.push((field("Package:").to_owned(), field("Status:").to_owned()));
        }
    }
    Ok(wrong)
}
