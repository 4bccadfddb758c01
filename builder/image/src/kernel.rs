//! SealedTree → kernel: its release and its program.

use diorite_model::{Error, Result};
use diorite_rootfs::seal::SealedTree;
use diorite_rootfs::tree::Tree;

/// The kernel of a tree. Only this file makes one.
#[derive(Debug)]
pub struct KernelImage<'a> {
    release: &'a str,
    program: &'a [u8],
}

impl<'a> KernelImage<'a> {
    /// `uname -r`, the name of its directory below usr/lib/modules.
    pub fn release(&self) -> &'a str {
        self.release
    }
    /// The program, an EFI executable.
    pub fn program(&self) -> &'a [u8] {
        self.program
    }
    /// The kernel that an image boots.
    pub(crate) fn of(release: &'a str, program: &'a [u8]) -> Self {
        Self { release, program }
    }
}

/// The kernel that sealing took out of a tree.
pub fn sealed(sealed: &SealedTree) -> KernelImage<'_> {
    KernelImage { release: sealed.kernel_release(), program: sealed.kernel() }
}

/// Finds the one kernel of a tree that is not sealed yet: `usr/lib/modules/RELEASE/vmlinuz`, or `boot/vmlinuz-RELEASE` where Debian's package
/// puts it. None and several are errors: which one would boot must not be a matter of chance.
pub fn find(tree: &Tree) -> Result<KernelImage<'_>> {
    let hint = "add one kernel to the profile's packages, such as `linux-image-cloud-amd64`";
    let mut found = Vec::new();
    for (path, _) in tree.children(b"usr/lib/modules") {
        let Ok(release) = std::str::from_utf8(&path[b"usr/lib/modules/".len()..]) else { continue };
        let places = [format!("usr/lib/modules/{release}/vmlinuz"), format!("boot/vmlinuz-{release}")];
        if let Some(program) = places.iter().find_map(|p| tree.read(p)) {
            found.push(KernelImage { release, program });
        }
    }
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => Err(Error::input("the tree holds no kernel")
            .because("there is neither usr/lib/modules/RELEASE/vmlinuz nor boot/vmlinuz-RELEASE")
            .hint(hint)),
        n => Err(Error::input(format!("the tree holds {n} kernels"))
            .because(found.iter().map(|k| k.release).collect::<Vec<_>>().join(", "))
            .hint("keep one of them in the profile's packages")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use diorite_rootfs::tree::Node;

    #[test]
    fn one_kernel_is_found_none_and_two_are_errors() {
        let mut tree = Tree::new();
        assert!(find(&tree).is_err());
        tree.insert(*b"usr/lib/modules/6.1/modules.dep", Node::file(0o644, *b""));
        tree.insert(*b"boot/vmlinuz-6.1", Node::file(0o644, *b"MZ1"));
        let kernel = find(&tree).unwrap();
        assert_eq!((kernel.release(), kernel.program()), ("6.1", &b"MZ1"[..]));
        tree.insert(*b"usr/lib/modules/6.2/vmlinuz", Node::file(0o644, *b"MZ2"));
        assert!(find(&tree).err().unwrap().to_string().contains("6.1, 6.2"));
    }
}
