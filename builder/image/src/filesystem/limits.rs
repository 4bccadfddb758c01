//! What EROFS or Linux has no room for: each refusal names the path and the limit.

use super::encode;
use diorite_model::{Error, Result};
use diorite_rootfs::tree::Node;

/// PATH_MAX without its NUL: a longer target could not be followed.
const LONGEST_TARGET: usize = 4095;
/// NAME_MAX of linux/limits.h: the longest name of a file.
const LONGEST_NAME: usize = 255;

/// The error about a file of the tree.
pub(super) fn refused(path: &[u8], because: impl std::fmt::Display) -> Error {
    Error::input("the root file system cannot hold a file").at(format!("/{}", path.escape_ascii())).because(because)
}

/// A name in a directory.
pub(super) fn name(path: &[u8], name: &[u8]) -> Result<()> {
    if name.is_empty() || name == b"." || name == b".." || name.contains(&0) {
        return Err(refused(path, "not a valid file name"));
    }
    match name.len() {
        1..=LONGEST_NAME => Ok(()),
        len => Err(refused(path, format!("a name may have {LONGEST_NAME} bytes, this one has {len}"))),
    }
}

/// The target of a symbolic link.
pub(super) fn target<'t>(path: &[u8], target: &'t [u8]) -> Result<&'t [u8]> {
    match target.len() {
        0 => Err(refused(path, "it is a symbolic link to nothing")),
        1..=LONGEST_TARGET if target.contains(&0) => {
            Err(refused(path, "the target of the symbolic link contains a zero byte"))
        }
        1..=LONGEST_TARGET => Ok(target),
        len => Err(refused(path, format!("the target of a symbolic link may have {LONGEST_TARGET} bytes, not {len}"))),
    }
}

/// A device number as it is stored.
pub(super) fn device(path: &[u8], major: u32, minor: u32) -> Result<u32> {
    encode::device(major, minor)
        .ok_or_else(|| refused(path, format!("there is no device {major}:{minor}; the largest is 4095:1048575")))
}

/// Extended attributes as they are stored.
pub(super) fn xattrs(path: &[u8], node: &Node) -> Result<Vec<u8>> {
    encode::xattrs(&node.xattrs).map_err(|encode::XattrError { name, because }| {
        refused(path, format!("attribute `{}`: {because}", name.escape_ascii()))
            .hint("remove the attribute in the overlay or package that sets it")
    })
}
