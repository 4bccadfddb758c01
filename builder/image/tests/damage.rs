//! Reading a whole image back, and every part of it with one byte flipped: what and where is told, without anything to compare
//! with. The image is sealed from a tree that is made here.

use diorite_image::initrd::contents;
use diorite_image::read::{DiskReader, ImageReader};
use diorite_image::{ImageParts, disk, filesystem, verity};
use diorite_model::{Digest, Exit, Recipe, profile};
use diorite_rootfs::carried::CarriedInputs;
use diorite_rootfs::guest::GuestFiles;
use diorite_rootfs::origins::ImageOrigins;
use diorite_rootfs::seal;
use diorite_rootfs::tree::{Node, Tree};
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

const RELEASE: &str = "6.12";

fn recipe() -> Recipe {
    let text = "[image]\nname = \"small\"\nversion = \"1\"\n[disk]\nesp = \"64M\"\nroot = \"64M\"\nverity = \"4M\"\n";
    profile::parse(text, "small.toml", &mut |_| panic!("nothing is extended")).unwrap_or_else(|e| panic!("{e}")).0
}

/// A PE32+ program with one section and header room for more (PE format, "Section Table").
fn program(room: usize, code: u8) -> Vec<u8> {
    let headers = (64 + 4 + 20 + 240 + (1 + room) * 40usize).next_multiple_of(512);
    let mut file = vec![0; headers];
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"MZ");
    put(60, &64u32.to_le_bytes());
    put(64, b"PE\0\0");
    put(68 + 2, &1u16.to_le_bytes()); // sections
    put(68 + 16, &240u16.to_le_bytes()); // size of the optional header
    let optional = 68 + 20;
    put(optional, &0x20bu16.to_le_bytes());
    for (at, value) in [(32, 4096), (36, 512), (56, 2 * 4096), (60, headers as u32), (108, 16u32)] {
        put(optional + at, &value.to_le_bytes());
    }
    let section = optional + 240;
    put(section, b".text");
    for (n, value) in [300, 4096, 512, headers as u32].into_iter().enumerate() {
        put(section + 8 + 4 * n, &value.to_le_bytes());
    }
    file.extend([code; 300]);
    file.resize(headers + 512, 0);
    file
}

fn tree() -> Tree {
    let mut tree = Tree::new();
    for file in contents::PROGRAMS.iter().chain(contents::RULES) {
        tree.insert(file.path, Node::file(0o755, file.path));
    }
    let builtin: String = contents::MODULES.iter().map(|m| format!("kernel/{m}.ko\n")).collect();
    let modules = format!("usr/lib/modules/{RELEASE}");
    let noise: Vec<u8> = (0u64..20_000).flat_map(|n| Digest::of(&n.to_le_bytes()).0).collect();
    let text: String = (0..60_000).map(|n| format!("line {n}\n")).collect();
    for (path, bytes) in [
        ("usr/lib/os-release".to_owned(), b"ID=debian\n".to_vec()),
        ("etc/passwd".into(), b"root:x:0:0:root:/root:/bin/sh\n".to_vec()),
        ("etc/group".into(), b"root:x:0:\n".to_vec()),
        ("etc/shadow".into(), b"root:*:1:0:99999:7:::\n".to_vec()),
        (format!("{modules}/modules.builtin"), builtin.into_bytes()),
        (format!("{modules}/modules.dep"), Vec::new()),
        (format!("{modules}/modules.alias"), Vec::new()),
        (format!("boot/vmlinuz-{RELEASE}"), program(0, 0x90)),
        ("usr/lib/systemd/boot/efi/linuxx64.efi.stub".into(), program(8, 0x91)),
        ("usr/lib/systemd/boot/efi/systemd-bootx64.efi".into(), program(0, 0x92)),
        ("usr/share/noise".into(), noise),
        ("usr/share/text".into(), text.into_bytes()),
    ] {
        tree.insert(path, Node::file(0o644, bytes));
    }
    tree.insert("etc/os-release", Node::symlink("../usr/lib/os-release"));
    tree
}

/// The image, made by the stages that make every image.
fn image(directory: &Path) -> PathBuf {
    let recipe = recipe();
    let inputs = CarriedInputs { lock: "schema = 1\n".into(), overlays: Default::default() };
    let sealed = seal::seal(tree(), GuestFiles::default(), &[], &recipe, &ImageOrigins::default(), &inputs);
    let sealed = sealed.unwrap_or_else(|e| panic!("{e}"));
    let path = |name: &str| directory.join(name);
    let options = filesystem::FilesystemOptions::new(recipe.image.epoch, [7; 16]);
    filesystem::write(sealed.tree(), &options, &path("root"), None).unwrap();
    let root_hash = verity::format(&path("root"), &path("verity"), &[1; 32], [8; 16]).unwrap().root_hash;
    let (root, hashes) = (path("root"), path("verity"));
    let parts = ImageParts { sealed: &sealed, root: &root, verity: &hashes, root_hash, recipe: &recipe };
    diorite_image::write(&parts, &path("disk.raw")).unwrap_or_else(|e| panic!("{e}"));
    path("disk.raw")
}

/// Flips a byte, runs, and flips it back.
fn flipped<T>(disk: &Path, at: u64, run: impl FnOnce() -> T) -> T {
    let file = File::options().read(true).write(true).open(disk).unwrap();
    let flip = || {
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ 0x20], at).unwrap();
    };
    flip();
    let result = run();
    flip();
    result
}

/// What is said of an image: its damage, or why it cannot be read.
fn said(disk: &Path) -> Vec<String> {
    match ImageReader::open(disk).and_then(|image| image.damages()) {
        Ok(damages) => damages.iter().map(|d| format!("{}: {}: {}", d.part, d.place, d.what)).collect(),
        Err(error) => {
            assert_eq!(error.exit, Exit::Input, "{error}");
            vec![format!("error: {error}")]
        }
    }
}

#[test]
fn an_image_says_what_it_is_and_where_it_is_damaged() {
    let directory = tempfile::tempdir().unwrap();
    let disk = image(directory.path());
    let whole = ImageReader::open(&disk).unwrap_or_else(|e| panic!("{e}"));
    let carried = whole.carried.as_ref().expect("it carries its recipe");
    assert_eq!(carried.recipe, recipe());
    assert_eq!(carried.lock, "schema = 1\n");
    assert_eq!(carried.provenance.iter().count(), whole.files.len());
    assert!(whole.files.keys().all(|path| carried.provenance.get(path).is_some()), "every path has a source");
    assert_eq!(
        whole.tree().unwrap().read("usr/share/text").map(<[u8]>::len),
        tree().read("usr/share/text").map(<[u8]>::len)
    );
    assert_eq!(said(&disk), [""; 0], "nothing is wrong with it");

    let partitions: Vec<(u64, u64)> =
        whole.disk.partitions().iter().map(|p| (p.offset(), p.sectors * disk::SECTOR)).collect();
    let [esp, root, hashes, second, _] = partitions[..] else { panic!("{partitions:?}") };
    let noise = whole.root.content(b"usr/share/noise", &whole.files[&b"usr/share/noise"[..]]).unwrap();
    let bytes = fs::read(&disk).unwrap();
    let find = |needle: &[u8], from: u64| {
        let found = bytes[from as usize..].windows(needle.len()).position(|window| window == needle);
        from + found.expect("it is in the image") as u64
    };
    // (where, words of which one must be said)
    let kernel = find(&program(0, 0x90)[600..900], esp.0);
    let cases: Vec<(u64, &str, &[&str])> = vec![
        (find(&noise[..64], root.0) + 5, "a file of the root", &["root: /usr/share/noise: data block"]),
        (root.0 + root.1 - 4096, "behind the root", &["unused space: byte"]),
        (root.0 + 1024 + 40, "the superblock", &["root file system is damaged", "root: names, owners"]),
        (hashes.0 + 4096 + 3, "the hash tree", &["hash tree: "]),
        (hashes.0 + 1, "its superblock", &["hash tree: ", "superblock"]),
        (kernel, "the kernel", &["ESP: /EFI/Linux/small_1+3.efi, section .linux"]),
        (find(b"ID=debian", esp.0), "a section", &["ESP: /EFI/Linux/small_1+3.efi, section .osrel, byte"]),
        (find(&[0x92; 32], esp.0), "the boot manager", &["ESP: /EFI/BOOT/BOOTX64.EFI, byte"]),
        (find(b"timeout 0", esp.0), "a setting", &["ESP: /loader/loader.conf, byte 0"]),
        (esp.0 + 3, "the boot sector", &["ESP: byte 3 of the partition"]),
        (esp.0 + esp.1 - 100, "free space of the ESP", &["ESP: byte"]),
        (second.0 + 77, "the second slot", &["unused space: byte"]),
        (512 + 17, "the table's header", &["partition table: the table, byte 529"]),
        (1024 + 60, "an entry of the table", &["the partition table is damaged"]),
        (bytes.len() as u64 - 500, "the table's copy", &["partition table: the copy of the table"]),
        (find(b"roothash=", esp.0) + 12, "the root hash", &["hash tree: ", "root: ", "names no root hash"]),
    ];
    let mut wrong = Vec::new();
    for (at, what, words) in cases {
        let said = flipped(&disk, at, || said(&disk)).join("\n");
        if !words.iter().any(|words| said.contains(words)) {
            wrong.push(format!("{what} (byte {at}): {said:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(said(&disk), [""; 0], "every byte was flipped back");
}

#[test]
fn what_is_no_image_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let disk = image(directory.path());
    let path = directory.path().join("other");
    let told = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        let error = DiskReader::open(&path).unwrap_err();
        assert_eq!(error.exit, Exit::Input);
        error.to_string().replace(&directory.path().display().to_string(), "DIRECTORY")
    };
    let whole = fs::read(&disk).unwrap();
    let mut iso = vec![0; 0x9000];
    iso[0x8001..0x8006].copy_from_slice(b"CD001");
    let all = [
        told(b""),
        told(b"MZ not an image"),
        told(b"QFI\xfb\0\0\0\x03"),
        told(b"\x28\xb5\x2f\xfd"),
        told(&iso),
        told(b"{ \"image\": 1 }"),
        told(&whole[..whole.len() - 512]),
        told(&whole[..200 << 20]),
    ];
    insta::assert_snapshot!(all.join("\n\n"));
}
