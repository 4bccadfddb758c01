//! Paths of a tree resolved as a process inside it would, never leaving it.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

/// The host path of `inside` under `root`, with every symbolic link on the way followed within the tree (absolute
/// ones too) except the last component when `follow_last` is false. What does not exist is taken literally.
pub(crate) fn resolve(root: &Path, inside: &Path, follow_last: bool) -> io::Result<PathBuf> {
    let mut todo: Vec<OsString> = parts(inside);
    todo.reverse();
    let mut done: Vec<OsString> = Vec::new();
    let mut links = 0;
    while let Some(part) = todo.pop() {
        if part == ".." {
            done.pop();
            continue;
        }
        let path: PathBuf =
            [root.as_os_str().to_owned()].into_iter().chain(done.iter().cloned()).collect::<PathBuf>().join(&part);
        match fs::symlink_metadata(&path) {
            Ok(m) if m.is_symlink() && (follow_last || !todo.is_empty()) => {
                links += 1;
                if links > 40 {
                    return Err(io::Error::from_raw_os_error(libc::ELOOP));
                }
                let target = fs::read_link(&path)?;
                if target.is_absolute() {
                    done.clear();
                }
                todo.extend(parts(&target).into_iter().rev());
            }
            _ => done.push(part),
        }
    }
    Ok(done.into_iter().fold(root.to_owned(), |path, part| path.join(part)))
}

fn parts(path: &Path) -> Vec<OsString> {
    path.components()
        .filter_map(|c| match c {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_stay_in_the_tree() {
        let tree = tempfile::tempdir().unwrap();
        let root = tree.path();
        fs::create_dir_all(root.join("usr/bin")).unwrap();
        symlink("usr/bin", root.join("bin")).unwrap();
        symlink("/usr", root.join("absolute")).unwrap();
        symlink("../../../../etc", root.join("out")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        let at = |p: &str| resolve(root, Path::new(p), true).unwrap().strip_prefix(root).unwrap().display().to_string();
        assert_eq!(at("/bin/sh"), "usr/bin/sh");
        assert_eq!(at("/absolute/bin/new"), "usr/bin/new");
        assert_eq!(at("/out/passwd"), "etc/passwd");
        assert_eq!(at("../../x"), "x");
        assert_eq!(resolve(root, Path::new("/bin"), false).unwrap(), root.join("bin"));
        assert!(resolve(root, Path::new("/loop/x"), true).is_err());
    }
}
