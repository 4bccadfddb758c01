//! A path of an image → who put it there: the package with its version, the overlay's file, the table of the profile, or the
//! scripts that speak of it.

use crate::files::in_root;
use diorite_image::read::{ImageFileKind, ImageReader};
use diorite_model::profile::reader::nearest;
use diorite_model::{Error, Lock, LockedPackage, Result};
use diorite_rootfs::paths::DATABASE;
use diorite_rootfs::provenance::{Source, former};
use diorite_rootfs::tree::TreePath;
use serde::Serialize;

/// Names that are suggested at most.
const SUGGESTED: usize = 5;

/// Where a path comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Whence {
    /// Version of this form.
    pub schema: u32,
    /// The path in the image, links among its directories followed.
    pub path: String,
    /// `file`, `directory`, `symbolic link to TARGET`, …
    pub kind: String,
    /// Who put it there, in words.
    pub source: String,
    /// The package, as the lock has it.
    pub package: Option<LockedPackage>,
    /// The overlay and its file in the project.
    pub overlay: Option<String>,
    /// The table of the profile, or what else generates it.
    pub table: Option<String>,
    /// The step of a build that puts it there.
    pub step: String,
    /// Packages of whose scripts one speaks of the path, where scripts made or changed it.
    pub scripts: Vec<String>,
    /// What a link leads to, and who put that there.
    pub leads_to: Option<(String, String)>,
    /// What a running machine makes of it.
    pub remark: Option<String>,
}

/// A path as the tree has it.
///
/// # Errors
/// It is relative.
pub fn absolute(path: &str) -> Result<TreePath> {
    let parts = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect::<Vec<_>>();
    if !path.starts_with('/') || parts.contains(&"..") {
        let because = if path.starts_with('/') { "it goes upwards" } else { "it does not begin with /" };
        return Err(Error::input(format!("`{}` is not an absolute path", path.escape_debug()))
            .because(because)
            .hint(format!("give the path as the machine has it: `/{}`", parts.join("/").replace("../", ""))));
    }
    Ok(parts.join("/").into())
}

/// Where a path of an image comes from; `lock` is the one it carries.
///
/// # Errors
/// [`diorite_model::Exit::Input`]: the path is relative or not in the image (with names that are near), or the image carries
/// nothing about itself.
pub fn whence(image: &ImageReader, lock: &Lock, path: &str) -> Result<Whence> {
    let wanted = absolute(path)?;
    let place = image.disk.path().display().to_string();
    let carried = image.carried.as_ref().ok_or_else(|| {
        Error::input("the image does not say where its files come from")
            .at(place.clone())
            .because("an earlier version of Diorite has built it")
            .hint("build it again")
    })?;
    let (found, remark) = find(image, &wanted).ok_or_else(|| missing(image, &wanted, &place))?;
    let file = &image.files[&found];
    let source = carried.provenance.get(&found).cloned().unwrap_or(Source::Sealing);
    let (inner, container) = match &source {
        Source::Container(name, inside) => ((**inside).clone(), Some(name.as_str())),
        other => (other.clone(), None),
    };
    let target = match &file.kind {
        ImageFileKind::Symlink(target) => resolve(image, &found, target),
        _ => None,
    };
    let leads_to = target.as_ref().map(|target| {
        let source = carried.provenance.get(target).map_or_else(|| "nothing".into(), Source::to_string);
        (shown(target), source)
    });
    let by_script = matches!(inner, Source::Script | Source::Changed(_)) && container.is_none();
    let before = former(&found).unwrap_or_else(|| found.clone());
    Ok(Whence {
        schema: 1,
        path: shown(&found),
        kind: kind(&file.kind),
        source: source.to_string(),
        package: package(lock, container, &inner),
        overlay: match &inner {
            Source::Overlay(name) => {
                let inside = container.and_then(|_| in_root(&found)).unwrap_or(&before);
                Some(format!("overlays/{name}/tree{}", shown(inside)))
            }
            Source::Configure(name) => Some(format!("overlays/{name}/configure")),
            _ => None,
        },
        table: if let Source::Generated(table) = &inner { Some(table.clone()) } else { None },
        step: source.step(),
        scripts: if by_script { scripts(image, &before)? } else { Vec::new() },
        leads_to,
        remark,
    })
}

fn shown(path: &[u8]) -> String {
    format!("/{}", path.escape_ascii())
}

fn kind(kind: &ImageFileKind) -> String {
    match kind {
        ImageFileKind::Directory => "directory".into(),
        ImageFileKind::Regular(size, _) => format!("file of {size} bytes"),
        ImageFileKind::Symlink(to) => format!("symbolic link to {}", to.escape_ascii()),
        ImageFileKind::CharDevice(..) | ImageFileKind::BlockDevice(..) => "device".into(),
        ImageFileKind::Fifo => "named pipe".into(),
        ImageFileKind::Socket => "socket".into(),
    }
}

/// The path as it is in the image; what is on state is there as it begins.
fn find(image: &ImageReader, wanted: &[u8]) -> Option<(TreePath, Option<String>)> {
    if let Some(path) = follow(image, wanted) {
        return Some((path, None));
    }
    let kept = [b"usr/share/factory/", wanted].concat();
    let state = [b"usr/share/factory/var/", wanted].concat();
    let path = [kept, state].into_iter().find(|path| image.files.contains_key(path))?;
    Some((path, Some("it is on state: the machine copies it there where it is missing, tmpfiles.d(5)".into())))
}

/// The path with links among its directories followed, as a machine would; the last part is not.
fn follow(image: &ImageReader, wanted: &[u8]) -> Option<TreePath> {
    if image.files.contains_key(wanted) {
        return Some(wanted.to_vec());
    }
    let cut = wanted.iter().rposition(|&byte| byte == b'/')?;
    let mut parent = follow(image, &wanted[..cut])?;
    for _ in 0..40 {
        let ImageFileKind::Symlink(target) = &image.files.get(&parent)?.kind else { break };
        parent = resolve(image, &parent, target)?;
    }
    let path = [&parent[..], &wanted[cut..]].concat();
    image.files.contains_key(&path).then_some(path)
}

/// Where a link leads, one step.
fn resolve(image: &ImageReader, link: &[u8], target: &[u8]) -> Option<TreePath> {
    let mut parts: Vec<&[u8]> = match target.starts_with(b"/") {
        true => Vec::new(),
        false => link.split(|&byte| byte == b'/').collect::<Vec<_>>().split_last()?.1.to_vec(),
    };
    for part in target.split(|&byte| byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    follow(image, &parts.join(&b'/'))
}

fn package(lock: &Lock, container: Option<&str>, source: &Source) -> Option<LockedPackage> {
    let empty = Vec::new();
    let lists = match container {
        None => [&lock.image, &empty],
        Some(name) => [lock.container.get(name).unwrap_or(&empty), lock.wheels.get(name).unwrap_or(&empty)],
    };
    let wanted = |package: &&LockedPackage| match source {
        Source::Package(name) | Source::Changed(name) => package.name == *name,
        Source::Wheel(file) => package.file_name() == file,
        _ => false,
    };
    lists.into_iter().flatten().find(wanted).cloned()
}

/// Packages of whose maintainer scripts one has this path in it.
fn scripts(image: &ImageReader, path: &[u8]) -> Result<Vec<String>> {
    let words = String::from_utf8_lossy(&[b"/", path].concat()).into_owned();
    let prefix = format!("{DATABASE}/info/").into_bytes();
    let mut packages = Vec::new();
    for (script, file) in image.files.range(prefix.clone()..).take_while(|(path, _)| path.starts_with(&prefix)) {
        let name = String::from_utf8_lossy(&script[prefix.len()..]).into_owned();
        let Some((package, kind)) = name.rsplit_once('.') else { continue };
        if ["preinst", "postinst", "config", "triggers"].contains(&kind) {
            let text = String::from_utf8_lossy(&image.root.content(script, file)?).into_owned();
            if text.contains(&words) {
                packages.push(package.to_owned());
            }
        }
    }
    packages.dedup();
    Ok(packages)
}

/// The error for a path that is not there, with names that are near: in its directory, and of the same name elsewhere.
fn missing(image: &ImageReader, wanted: &[u8], place: &str) -> Error {
    let error = Error::input(format!("{} is not in the image", shown(wanted))).at(place);
    let (directory, name) = match wanted.iter().rposition(|&byte| byte == b'/') {
        Some(cut) => (&wanted[..cut], &wanted[cut + 1..]),
        None => (&b""[..], wanted),
    };
    let mut near = Vec::new();
    match follow(image, directory) {
        Some(parent) => {
            let prefix = if parent.is_empty() { Vec::new() } else { [&parent[..], b"/"].concat() };
            let below = image.files.keys().filter_map(|path| path.strip_prefix(prefix.as_slice()));
            let names = below.filter(|rest| !rest.is_empty() && !rest.contains(&b'/'));
            let names: Vec<String> = names.map(|name| String::from_utf8_lossy(name).into_owned()).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            near.extend(
                nearest(&String::from_utf8_lossy(name), &names).map(|name| shown(&[&prefix, name.as_bytes()].concat())),
            );
        }
        None => {
            let first = directory.split(|&byte| byte == b'/').next().unwrap_or_default();
            if [&b"var"[..], b"home", b"srv", b"run", b"tmp", b"proc", b"sys", b"dev"].contains(&first) {
                return error
                    .because(format!("/{} is made when the machine runs", String::from_utf8_lossy(first)))
                    .hint("ask for what makes it: a line of tmpfiles.d(5), a unit, a package");
            }
        }
    }
    let same = |path: &&TreePath| path.rsplit(|&byte| byte == b'/').next() == Some(name);
    near.extend(image.files.keys().filter(same).take(SUGGESTED).map(|path| shown(path)));
    near.dedup();
    match near.is_empty() {
        true => error.hint("`diorite inspect` shows what is in it; tree.manifest beside it lists every path"),
        false => error.hint(format!("near: {}", near.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_absolute() {
        assert_eq!(absolute("/etc//x/./y/").unwrap(), b"etc/x/y");
        assert_eq!(absolute("/").unwrap(), b"");
        let said = ["etc/x", "./etc/x", "", "/etc/../x"].map(|path| absolute(path).unwrap_err().to_string());
        insta::assert_snapshot!(said.join("\n\n"));
    }
}
