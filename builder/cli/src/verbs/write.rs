//! `write`: an image and a disk of this host go in; the disk holds the image, read back and compared.

use crate::args::{ProfileArgs, WriteArgs};
use crate::context::Context;
use crate::project::Project;
use crate::results::Results;
use crate::{attestations, disks, out};
use diorite_host::device::BlockDevice;
use diorite_host::progress::{BarUnit, bytes};
use diorite_image::write;
use diorite_model::{Digest, Error, Exit, Result};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Writes it, unless the disk is in use, too small, or holds something and `--force` is missing; or the image does not have what a
/// policy requires.
pub fn run(args: &WriteArgs, context: &Context) -> Result<Exit> {
    let policy = args.policy.as_deref().map(attestations::policy_file).transpose()?;
    let (image, sha256) = image(args)?;
    if let Some(policy) = &policy {
        attestations::judge(policy, &Results::beside(&image).attestations(), sha256)?;
    }
    let size = std::fs::metadata(&image).map_err(|e| Error::io("the image cannot be read", &image, e))?.len();
    let disk = BlockDevice::open(&args.disk)?;
    let there = write::contents(&disk)?;
    if !there.is_empty() && !args.force {
        return Err(Error::input("the disk is not empty")
            .at(args.disk.display().to_string())
            .because(there.join("; "))
            .hint("if nothing of it is needed any more, add --force"));
    }
    for what in &there {
        context.progress.say(format!("overwriting {}: {what}", args.disk.display()));
    }
    let stage = context.progress.stage(format!("writing {}", args.disk.display()));
    let bar = stage.bar(size * 2, BarUnit::Bytes);
    write::write(&image, sha256, &disk, &|count| bar.inc(count))?;
    bar.finish();
    stage.done(bytes(size));
    if context.json {
        let answer = json!({
            "schema": 1, "image": image, "sha256": sha256.to_string(), "bytes": size, "disk": args.disk,
            "disk_bytes": disk.size(), "overwritten": there,
        });
        out::line(format!("{answer:#}"))?;
    } else {
        out::line(format!("image      {}  sha256 {sha256}", image.display()))?;
        out::line(format!("disk       {}, {}, read back and equal", args.disk.display(), bytes(disk.size())))?;
    }
    Ok(Exit::Done)
}

/// The raw disk image and its SHA-256, which is that of its build where a profile was named.
fn image(args: &WriteArgs) -> Result<(PathBuf, Digest)> {
    let file = Path::new(&args.image);
    if file.extension().is_some_and(|e| e == "raw") {
        return Ok((file.to_owned(), disks::raw_digest(file)?));
    }
    if file
        .extension()
        .is_some_and(|e| ["qcow2", "vhd", "vhdx", "vmdk", "iso", "img", "zst"].iter().any(|other| e == *other))
    {
        let error = Error::input("this is not a raw disk image").at(file.display().to_string());
        return Err(error.hint("name a profile, or the file disk.raw of its build (`diorite build NAME --format raw`)"));
    }
    let project = Project::load(&ProfileArgs { name: args.image.clone(), paths: args.paths.clone() })?;
    let build = disks::build_of(&project, &format!("`diorite build {} --format raw`", project.name))?;
    let image = project.results.raw();
    if disks::raw_digest(&image)? != build.disk_sha256 {
        return Err(Error::input("this is not the image that was built")
            .at(image.display().to_string())
            .because("its bytes have another SHA-256 than build.json says")
            .hint(format!("build it again: `diorite build {} --format raw`", project.name)));
    }
    Ok((image, build.disk_sha256))
}
