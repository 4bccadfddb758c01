//! What a file of an overlay has on the build host and would not have in the image: refused in words, because whoever put
//! it there counts on it.

use crate::tree::TreePath;
use diorite_model::{Error, Result};
use std::collections::BTreeMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Files with more than one name that were read so far: device and inode, and the first of their names.
#[derive(Default)]
pub(super) struct HardLinks(BTreeMap<(u64, u64), TreePath>);

impl HardLinks {
    /// # Errors
    /// A regular file with set-user-ID or set-group-ID, with capabilities or attributes of a program's own, or with a second
    /// name in the same overlay.
    pub(super) fn refuse_lost(&mut self, file: &Path, path: &[u8], meta: &Metadata) -> Result<()> {
        if !meta.is_file() {
            return Ok(());
        }
        let shown = String::from_utf8_lossy(path).into_owned();
        let refused = |what: String| Error::input(what).at(file.display().to_string());
        if meta.mode() & 0o6000 != 0 {
            let mode = format!("{:04o}", meta.mode() & 0o7777);
            return Err(refused(format!("/{shown} has mode {mode} here, and would lose it in the image"))
                .because("set-user-ID and set-group-ID are not taken over from the build host: they could come by accident")
                .hint(format!(
                    "run `chmod ug-s` on it; if it is meant, write `mode = \"{mode}\"` for it in overlay.toml, and declare it under \
                     `hardening.setuid`"
                )));
        }
        if let Some(name) = attribute(file)? {
            let hint = match name.as_str() {
                "security.capability" => {
                    "run `setcap -r` on it, and give the capability to the service that starts it \
                     (AmbientCapabilities=, systemd.exec(5))"
                        .to_owned()
                }
                name => format!("run `setfattr -x {name}` on it"),
            };
            return Err(
                refused(format!("/{shown} has the attribute {name} here, and would lose it in the image")).hint(hint)
            );
        }
        if meta.nlink() > 1
            && let Some(first) = self.0.insert((meta.dev(), meta.ino()), path.to_vec())
        {
            let first = String::from_utf8_lossy(&first).into_owned();
            return Err(refused(format!("/{shown} and /{first} are one file here, and would be two in the image"))
                .because("hard links are not taken over: a checkout or a copy of the project loses them as well")
                .hint("make one of them a symbolic link to the other, or a copy"));
        }
        Ok(())
    }
}

/// An extended attribute, xattr(7), that means something to a program. What desktops note down about a file does not.
fn attribute(file: &Path) -> Result<Option<String>> {
    let mut buffer = vec![0; 65_536];
    let length = match rustix::fs::llistxattr(file, &mut buffer) {
        Ok(length) => length,
        // A file system without attributes.
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => return Ok(None),
        Err(e) => return Err(Error::io("the attributes of an overlay's file cannot be read", file, e.into())),
    };
    let names = buffer[..length].split(|b| *b == 0).map(|name| String::from_utf8_lossy(name).into_owned());
    let counts =
        |name: &String| name == "security.capability" || (name.starts_with("user.") && !name.starts_with("user.xdg."));
    Ok(names.into_iter().find(counts))
}

#[cfg(test)]
mod tests {
    use crate::overlay::load;
    use rustix::fs::{XattrFlags, lsetxattr};
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    /// What is said to an overlay with one file that was changed.
    fn said(change: impl Fn(&Path)) -> Result<(), String> {
        let directory = tempfile::tempdir().expect("a directory");
        let overlay = directory.path().join("mine");
        fs::create_dir_all(overlay.join("tree/usr/bin")).expect("a directory");
        fs::write(overlay.join("overlay.toml"), "why = 'a test'").expect("a file");
        fs::write(overlay.join("tree/usr/bin/tool"), "tool").expect("a file");
        change(&overlay.join("tree/usr/bin/tool"));
        let place = directory.path().display().to_string();
        load(&overlay).map(drop).map_err(|e| e.to_string().replace(&place, "overlays"))
    }

    #[test]
    fn what_the_image_would_not_have_is_refused_in_words() {
        assert_eq!(said(|_| {}), Ok(()));
        let mode =
            |mode| move |file: &Path| fs::set_permissions(file, fs::Permissions::from_mode(mode)).expect("a mode");
        let linked = |file: &Path| fs::hard_link(file, file.with_file_name("other")).expect("a link");
        let all = [said(mode(0o4755)), said(mode(0o2755)), said(linked)];
        insta::assert_snapshot!("lost", all.map(|said| said.expect_err("it is refused")).join("\n\n"));
        assert_eq!(said(mode(0o1755)), Ok(()), "a sticky file means nothing");
        // A second name outside of the overlay: a store of checkouts, a backup.
        let elsewhere = tempfile::tempdir().expect("a directory");
        let kept = |file: &Path| {
            let (to, copy) = (elsewhere.path().join("kept"), elsewhere.path().join("copy"));
            fs::copy(file, &to).expect("a copy");
            // Only within one file system.
            let _ = fs::hard_link(&to, copy).and_then(|()| fs::remove_file(file)).and_then(|()| fs::rename(&to, file));
            if !file.exists() {
                fs::write(file, "tool").expect("a file");
            }
        };
        assert_eq!(said(kept), Ok(()));
    }

    #[test]
    fn attributes_that_mean_something_are_refused() {
        let with = |name: &'static str| {
            move |file: &Path| match lsetxattr(file, name, b"x", XattrFlags::empty()) {
                Ok(()) => {}
                Err(e) => panic!("{name}: {e}"),
            }
        };
        let refused = said(with("user.mine")).expect_err("it would be lost");
        assert!(refused.contains("user.mine") && refused.contains("setfattr -x user.mine"), "{refused}");
        assert_eq!(said(with("user.xdg.origin.url")), Ok(()), "what a browser notes down");
    }
}
