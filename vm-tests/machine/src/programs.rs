//! The programs and firmware of a tools tree, run through the tree's own loader: no namespace and no privilege needed,
//! and inherited descriptors stay what they are.

use diorite_model::{Error, Result};
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// A tools tree that holds QEMU.
#[derive(Debug, Clone)]
pub struct Programs {
    tree: PathBuf,
}

impl Programs {
    /// Looks for what is needed, so that a wrong folder is named at once.
    pub fn open(tree: &Path) -> Result<Self> {
        let programs = Self { tree: tree.to_owned() };
        for needed in ["usr/lib64/ld-linux-x86-64.so.2", "usr/bin/qemu-system-x86_64", "usr/bin/qemu-img"] {
            if !tree.join(needed).exists() {
                return Err(Error::host("the tools tree has no QEMU")
                    .at(tree.join(needed).display().to_string())
                    .hint("name an unpacked tools tree with qemu-system-x86, qemu-utils and ovmf"));
            }
        }
        Ok(programs)
    }

    /// A file of the tree.
    pub fn file(&self, path: &str) -> PathBuf {
        self.tree.join(path)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.file("usr/lib64/ld-linux-x86-64.so.2"));
        command.arg("--library-path").arg(self.file("usr/lib/x86_64-linux-gnu")).arg(self.file(program));
        command.env_clear().env("LC_ALL", "C").env("QEMU_MODULE_DIR", self.file("usr/lib/x86_64-linux-gnu/qemu"));
        command
    }

    /// QEMU with its data folders.
    pub fn qemu(&self) -> Command {
        let mut command = self.command("usr/bin/qemu-system-x86_64");
        for data in ["usr/share/qemu", "usr/share/seabios"] {
            command.arg("-L").arg(self.file(data));
        }
        command
    }

    /// Runs qemu-img.
    pub fn qemu_img(&self, arguments: &[&str]) -> Result<()> {
        let output = self.command("usr/bin/qemu-img").args(arguments).output();
        let output = output.map_err(|e| Error::io("qemu-img cannot be run", self.file("usr/bin/qemu-img"), e))?;
        match output.status.success() {
            true => Ok(()),
            false => Err(Error::host(format!("qemu-img {} failed", arguments.first().unwrap_or(&"")))
                .because(String::from_utf8_lossy(&output.stderr).trim())
                .at(arguments.last().copied().unwrap_or_default())),
        }
    }
}
