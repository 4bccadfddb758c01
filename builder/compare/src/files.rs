//! Two roots → every path that differs, field by field.

use crate::content;
use diorite_image::read::{ImageFile, ImageFileKind, ImageReader};
use diorite_model::Result;
use diorite_rootfs::paths::CONTAINER_STORE;
use diorite_rootfs::provenance::Source;
use diorite_rootfs::tree::TreePath;
use rayon::prelude::*;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Larger files are not looked into.
pub(crate) const LARGEST: u64 = 32 << 20;
/// So many files are looked into: where packages were raised, most files differ and nobody reads why.
const EXPLAINED: usize = 64;

/// A path that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileChange {
    /// The path from the root, with `\xNN` for what is no printable ASCII; `container NAME: PATH` inside a container.
    pub path: String,
    /// Who put it there on the first side, as `whence` says it.
    pub source_before: Option<String>,
    /// The same on the second side.
    pub source_after: Option<String>,
    /// The package, where it is one's.
    pub package: Option<String>,
    /// What differs; of a file that is on one side only, `exists`.
    pub fields: Vec<FieldChange>,
    /// The step of a build that has put it there.
    pub step: Option<String>,
    /// The path in each image.
    #[serde(skip)]
    pub(crate) raw: [Option<TreePath>; 2],
}

/// A field that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldChange {
    /// `exists`, `kind`, `mode`, `owner`, `mtime`, `attribute NAME`, `target`, `device`, `same file as`, `content`.
    pub field: String,
    /// On the first side.
    pub before: String,
    /// On the second side.
    pub after: String,
    /// What differs inside a content, where the format is known.
    pub inside: Option<content::InnerDifference>,
}

fn field(field: impl Into<String>, before: impl Into<String>, after: impl Into<String>) -> FieldChange {
    FieldChange { field: field.into(), before: before.into(), after: after.into(), inside: None }
}

/// Every path that differs, in the order of the paths.
///
/// # Errors
/// A file is damaged.
pub(crate) fn compare(a: &ImageReader, b: &ImageReader) -> Result<Vec<FileChange>> {
    let (left, right) = (by_place(a), by_place(b));
    let places: Vec<&FilePlace> = left.keys().chain(right.keys()).collect::<BTreeSet<_>>().into_iter().collect();
    let (first, second) = (first_names(&left), first_names(&right));
    let one = |place: &&FilePlace| -> Result<Option<FileChange>> {
        let fields = match (left.get(*place), right.get(*place)) {
            (Some(&(path, x)), Some(&(_, y))) => {
                let mut fields = differences(x, y);
                let (x_name, y_name) = (first[&x.inode], second[&y.inode]);
                let regular =
                    matches!(x.kind, ImageFileKind::Regular(..)) && matches!(y.kind, ImageFileKind::Regular(..));
                if regular && x_name != y_name {
                    fields.push(field("same file as", named_place(x_name), named_place(y_name)));
                }
                if regular && !a.root.same(path, x, &b.root, y)? {
                    fields.push(field("content", size(x), size(y)));
                }
                fields
            }
            (Some(_), None) => vec![field("exists", "yes", "no")],
            _ => vec![field("exists", "no", "yes")],
        };
        let paths = [left.get(*place), right.get(*place)].map(|found| found.map(|(path, _)| *path));
        Ok((!fields.is_empty()).then(|| change(a, b, place, paths, fields)))
    };
    let found: Result<Vec<Option<FileChange>>> = places.par_iter().map(one).collect();
    let mut found: Vec<FileChange> = found?.into_iter().flatten().collect();
    let raised = |file: &FileChange| file.source_before != file.source_after || file.package.is_some();
    // Files of packages come last: what was raised explains them.
    let mut order: Vec<usize> = (0..found.len()).collect();
    order.sort_by_key(|&i| raised(&found[i]));
    for i in order.into_iter().take(EXPLAINED) {
        look_inside(a, b, &mut found[i])?;
    }
    Ok(found)
}

/// The container that a path is in, none for the machine; and the path inside it. The root of a container lies at a digest of
/// its content, and is the same place whatever is in it.
type FilePlace = (Option<String>, TreePath);

fn by_place(image: &ImageReader) -> BTreeMap<FilePlace, (&TreePath, &ImageFile)> {
    let place = |path: &TreePath| -> FilePlace {
        let source = image.carried.as_ref().and_then(|carried| carried.provenance.get(path));
        if let Some(Source::Container(name, _)) = source
            && let Some(inside) = in_root(path)
        {
            return (Some(name.clone()), inside.to_vec());
        }
        (None, path.clone())
    };
    image.files.iter().map(|(path, file)| (place(path), (path, file))).collect()
}

/// The path inside the root of a container, `…/overlay/DIGEST/diff/PATH`.
pub(crate) fn in_root(path: &[u8]) -> Option<&[u8]> {
    let inside = path.strip_prefix(CONTAINER_STORE.as_bytes())?.strip_prefix(b"/overlay/")?;
    let inside = inside.get(inside.iter().position(|&byte| byte == b'/')?..)?.strip_prefix(b"/diff")?;
    Some(inside.strip_prefix(b"/").unwrap_or(inside))
}

fn named_place((container, path): &FilePlace) -> String {
    match container {
        Some(name) => format!("container {name}: {}", shown(path)),
        None => shown(path),
    }
}

/// Of each inode, its first name.
fn first_names<'a>(files: &'a BTreeMap<FilePlace, (&TreePath, &ImageFile)>) -> BTreeMap<u64, &'a FilePlace> {
    let mut names = BTreeMap::new();
    for (place, (_, file)) in files {
        names.entry(file.inode).or_insert(place);
    }
    names
}

fn size(file: &ImageFile) -> String {
    match file.kind {
        ImageFileKind::Regular(size, _) => format!("{size} bytes"),
        _ => String::new(),
    }
}

/// A path as an answer has it.
pub(crate) fn shown(path: &[u8]) -> String {
    format!("/{}", path.escape_ascii())
}

fn change(
    a: &ImageReader,
    b: &ImageReader,
    place: &FilePlace,
    paths: [Option<&TreePath>; 2],
    fields: Vec<FieldChange>,
) -> FileChange {
    let source = |image: &ImageReader, path: Option<&TreePath>| -> Option<Source> {
        image.carried.as_ref()?.provenance.get(path?).cloned()
    };
    let (before, after) = (source(a, paths[0]), source(b, paths[1]));
    let last = after.as_ref().or(before.as_ref());
    FileChange {
        path: named_place(place),
        package: last.and_then(Source::package).map(str::to_owned),
        step: last.map(Source::step),
        source_before: before.as_ref().map(Source::to_string),
        source_after: after.as_ref().map(Source::to_string),
        fields,
        raw: paths.map(|path| path.cloned()),
    }
}

/// The fields of two inodes that differ, contents left out.
fn differences(a: &ImageFile, b: &ImageFile) -> Vec<FieldChange> {
    let mut fields = Vec::new();
    let (x, y) = (kind(&a.kind), kind(&b.kind));
    if x.0 != y.0 {
        fields.push(field("kind", x.0, y.0));
    } else if x.1 != y.1 {
        let name = if matches!(a.kind, ImageFileKind::Symlink(_)) { "target" } else { "device" };
        fields.push(field(name, x.1, y.1));
    }
    if a.mode != b.mode {
        fields.push(field("mode", format!("{:04o}", a.mode), format!("{:04o}", b.mode)));
    }
    if (a.uid, a.gid) != (b.uid, b.gid) {
        fields.push(field("owner", format!("{}:{}", a.uid, a.gid), format!("{}:{}", b.uid, b.gid)));
    }
    if a.mtime != b.mtime {
        fields.push(field("mtime", a.mtime.to_string(), b.mtime.to_string()));
    }
    let names: BTreeSet<&Vec<u8>> = a.xattrs.keys().chain(b.xattrs.keys()).collect();
    for name in names {
        let value = |file: &ImageFile| match file.xattrs.get(name) {
            Some(value) => value.iter().map(|byte| format!("{byte:02x}")).collect(),
            None => "none".to_owned(),
        };
        if a.xattrs.get(name) != b.xattrs.get(name) {
            fields.push(field(format!("attribute {}", name.escape_ascii()), value(a), value(b)));
        }
    }
    fields
}

/// What a file is, and what distinguishes it from others of its kind.
fn kind(kind: &ImageFileKind) -> (&'static str, String) {
    match kind {
        ImageFileKind::Directory => ("directory", String::new()),
        ImageFileKind::Regular(..) => ("regular file", String::new()),
        ImageFileKind::Symlink(target) => ("symbolic link", target.escape_ascii().to_string()),
        ImageFileKind::CharDevice(major, minor) => ("character device", format!("{major}:{minor}")),
        ImageFileKind::BlockDevice(major, minor) => ("block device", format!("{major}:{minor}")),
        ImageFileKind::Fifo => ("named pipe", String::new()),
        ImageFileKind::Socket => ("socket", String::new()),
    }
}

/// Says what differs inside the content, if it does.
fn look_inside(a: &ImageReader, b: &ImageReader, change: &mut FileChange) -> Result<()> {
    let Some(field) = change.fields.iter_mut().find(|field| field.field == "content") else { return Ok(()) };
    let [Some(left), Some(right)] = &change.raw else { return Ok(()) };
    let (Some(x), Some(y)) = (a.files.get(left), b.files.get(right)) else { return Ok(()) };
    let small = |file: &ImageFile| matches!(file.kind, ImageFileKind::Regular(size, _) if size <= LARGEST);
    if small(x) && small(y) {
        let (x, y) = (a.root.content(left, x)?, b.root.content(right, y)?);
        field.inside = Some(content::difference(&x, &y));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> ImageFile {
        ImageFile {
            inode: 1,
            mode: 0o644,
            uid: 0,
            gid: 0,
            mtime: 1_760_000_000,
            xattrs: BTreeMap::new(),
            kind: ImageFileKind::Symlink(b"a".to_vec()),
        }
    }

    #[test]
    fn the_root_of_a_container_is_one_place() {
        let inside = |path: &str| in_root(path.as_bytes()).map(|p| String::from_utf8_lossy(p).into_owned());
        assert_eq!(inside("usr/lib/containers/storage/overlay/abc/diff/etc/x").as_deref(), Some("etc/x"));
        assert_eq!(inside("usr/lib/containers/storage/overlay/abc/diff").as_deref(), Some(""));
        assert_eq!(inside("usr/lib/containers/storage/overlay/abc/link"), None);
        assert_eq!(inside("usr/lib/containers/storage/overlay-images/x"), None);
    }

    #[test]
    fn every_field_that_differs_is_named() {
        assert_eq!(differences(&file(), &file()), []);
        type Seed = fn(&mut ImageFile);
        let changes: [(&str, Seed); 6] = [
            ("mode", |f| f.mode = 0o4755),
            ("owner", |f| f.gid = 7),
            ("mtime", |f| f.mtime += 1),
            ("target", |f| f.kind = ImageFileKind::Symlink(b"b".to_vec())),
            ("kind", |f| f.kind = ImageFileKind::Fifo),
            ("attribute user.x", |f| drop(f.xattrs.insert(b"user.x".to_vec(), vec![1]))),
        ];
        for (name, change) in changes {
            let mut other = file();
            change(&mut other);
            let found = differences(&file(), &other);
            assert_eq!(found.iter().map(|f| f.field.as_str()).collect::<Vec<_>>(), [name]);
            assert_ne!(found[0].before, found[0].after);
        }
        let mut device = ImageFile { kind: ImageFileKind::CharDevice(1, 3), ..file() };
        let other = device.clone();
        device.kind = ImageFileKind::CharDevice(1, 5);
        assert_eq!(differences(&other, &device), [field("device", "1:3", "1:5")]);
    }
}
