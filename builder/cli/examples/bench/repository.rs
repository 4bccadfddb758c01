//! The local repository that the peers install from: the very .debs of our image, trusted without a signature.

use crate::room::Room;
use diorite_archive::deb;
use diorite_model::{Digest, Error, LockedPackage, Result};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// A trusted repository of one suite: links to the .debs, Packages from their control paragraphs, an unsigned Release.
pub fn write(
    directory: &Path,
    packages: &[&LockedPackage],
    pool: &dyn Fn(&LockedPackage) -> PathBuf,
    room: &Room,
) -> Result<()> {
    let _ = fs::remove_dir_all(directory);
    let index = directory.join("dists/trixie/main/binary-amd64");
    let debs = directory.join("pool");
    let failed = |e| Error::io("the repository for the peers cannot be written", directory, e);
    fs::create_dir_all(&index).and_then(|()| fs::create_dir_all(&debs)).map_err(failed)?;
    let mut text = String::new();
    for package in packages {
        // mkosi takes a package's name from its file's.
        let name = package.path.rsplit('/').next().unwrap_or(&package.name).to_owned();
        let from = pool(package);
        let to = debs.join(&name);
        fs::hard_link(&from, &to).or_else(|_| fs::copy(&from, &to).map(|_| ())).map_err(failed)?;
        stanza(&mut text, &to, &name, &package.sha256, package.size)?;
    }
    let stub = stub(room, directory)?;
    let bytes = fs::read(&stub).map_err(failed)?;
    stanza(&mut text, &stub, "no-initramfs_1_all.deb", &Digest::of(&bytes), bytes.len() as u64)?;
    fs::write(index.join("Packages"), &text).map_err(failed)?;
    let release = format!(
        "Origin: Debian\nLabel: Debian\nSuite: stable\nCodename: trixie\nArchitectures: amd64 all\nComponents: main\n\
         Date: Thu, 01 Jan 2026 00:00:00 UTC\nSHA256:\n {} {} main/binary-amd64/Packages\n",
        Digest::of(text.as_bytes()),
        text.len()
    );
    fs::write(directory.join("dists/trixie/Release"), release).map_err(failed)
}

fn stanza(text: &mut String, file: &Path, name: &str, digest: &Digest, size: u64) -> Result<()> {
    let control = deb::control(file)?;
    let _ = writeln!(text, "{}\nFilename: pool/{name}\nSize: {size}\nSHA256: {digest}\n", control.trim_end());
    Ok(())
}

/// An empty package that provides linux-initramfs-tool, as our own tree has it: nobody makes an initramfs in the tree.
fn stub(room: &Room, repository: &Path) -> Result<PathBuf> {
    let place = room.results.join("stub/DEBIAN");
    let failed = |e| Error::io("the empty package cannot be made", &place, e);
    fs::create_dir_all(&place).map_err(failed)?;
    let control = "Package: no-initramfs\nVersion: 1\nArchitecture: all\nMaintainer: nobody <nobody@localhost>\n\
                   Provides: linux-initramfs-tool\nDescription: stands for a package that makes an initramfs\n";
    fs::write(place.join("control"), control).map_err(failed)?;
    let argv = ["dpkg-deb", "--root-owner-group", "--build", "/results/stub", "/results/no-initramfs_1_all.deb"];
    let output = room.command(&argv).and_then(|mut c| c.output()).map_err(failed)?;
    if !output.status.success() {
        return Err(Error::host("the empty package cannot be made").because(String::from_utf8_lossy(&output.stderr)));
    }
    let file = repository.join("pool/no-initramfs_1_all.deb");
    fs::copy(room.results.join("no-initramfs_1_all.deb"), &file).map_err(failed)?;
    Ok(file)
}
