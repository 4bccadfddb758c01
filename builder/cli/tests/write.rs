//! `diorite write`, with loop devices of the kernel as disks. `losetup` belongs to every Debian (util-linux).

mod common;

use common::{Project, text};
use std::fs::{self, File};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

const MIB: usize = 1 << 20;

/// A disk of the host, made of a file.
struct LoopDisk {
    device: PathBuf,
}

impl LoopDisk {
    fn new(file: &Path, bytes: usize) -> Self {
        File::create(file).and_then(|f| f.set_len(bytes as u64)).expect("a file");
        let output = Command::new("losetup").arg("--find").arg("--show").arg(file).output().expect("losetup starts");
        assert!(output.status.success(), "{}", text(&output.stderr));
        Self { device: PathBuf::from(text(&output.stdout).trim()) }
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(&self.device).expect("the disk")
    }
}

impl Drop for LoopDisk {
    fn drop(&mut self) {
        let _ = Command::new("losetup").arg("--detach").arg(&self.device).status();
    }
}

/// Eight MiB, with data at the given MiB and holes between.
fn image(project: &Project, name: &str, data: &[(usize, u8)]) -> PathBuf {
    let path = project.path(name);
    let file = File::create(&path).expect("an image");
    file.set_len(8 * MIB as u64).expect("its size");
    for (at, byte) in data {
        file.write_all_at(&vec![*byte; MIB], (at * MIB) as u64).expect("data");
    }
    path
}

fn refused(project: &Project, image: &Path, disk: &Path, more: &[&str]) -> String {
    let output = project.diorite().arg("write").arg(image).arg(disk).args(more).output().expect("the program starts");
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    text(&output.stderr)
}

#[test]
fn a_disk_gets_the_image_and_nothing_of_what_was_on_it() {
    let project = Project::bare();
    let disk = LoopDisk::new(&project.path("disk"), 16 * MIB);
    let first = image(&project, "first.raw", &[(0, 1), (1, 2), (5, 3), (7, 4)]);
    let device = disk.device.to_string_lossy().into_owned();
    let answer = project.json(&["write", "first.raw", &device]);
    assert_eq!(answer["overwritten"], serde_json::json!([]));
    assert_eq!(answer["disk_bytes"], 16 * MIB);
    assert_eq!(disk.bytes()[..8 * MIB], fs::read(&first).expect("the image"));

    let second = image(&project, "second.raw", &[(0, 7), (3, 9)]);
    let said = refused(&project, &second, &disk.device, &[]);
    assert!(said.contains("the disk is not empty") && said.contains("--force"), "{said}");
    assert_eq!(disk.bytes()[..8 * MIB], fs::read(&first).expect("the image"), "nothing was changed");

    // An old table at the very end would be taken for a copy of the new one.
    File::options()
        .write(true)
        .open(&disk.device)
        .and_then(|f| f.write_all_at(b"old", 16 * MIB as u64 - 512))
        .expect("old data");
    let output = project.succeed(&["write", "second.raw", &device, "--force"]);
    assert!(text(&output.stderr).contains("data of an unknown kind"), "{}", text(&output.stderr));
    let bytes = disk.bytes();
    assert_eq!(bytes[..8 * MIB], fs::read(&second).expect("the image"), "holes too");
    assert!(bytes[15 * MIB..].iter().all(|byte| *byte == 0));
}

#[test]
fn a_disk_that_must_not_be_written_is_left_alone() {
    let project = Project::bare();
    let disk = LoopDisk::new(&project.path("small"), 4 * MIB);
    let image = image(&project, "image.raw", &[(0, 1)]);
    let said = refused(&project, &image, &disk.device, &[]);
    assert!(said.contains("too small") && said.contains("4.2 MB") && said.contains("8.4 MB"), "{said}");

    let exclusive = i32::try_from(rustix::fs::OFlags::EXCL.bits()).expect("a flag");
    let user = File::options().read(true).custom_flags(exclusive).open(&disk.device).expect("its user");
    let said = refused(&project, &image, &disk.device, &["--force"]);
    assert!(said.contains("this disk is in use") && said.contains("no option overrides this"), "{said}");
    drop(user);

    let file = project.path("no-disk");
    fs::write(&file, "text").expect("a file");
    let said = refused(&project, &image, &file, &["--force"]);
    assert!(said.contains("it is not a block device") && said.contains("lsblk"), "{said}");
    assert_eq!(fs::read(&file).expect("the file"), b"text");
    let said = refused(&project, &project.path("disk.qcow2"), &disk.device, &[]);
    assert!(said.contains("this is not a raw disk image"), "{said}");
    assert!(disk.bytes().iter().all(|byte| *byte == 0), "nothing was written");
}
