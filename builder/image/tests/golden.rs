//! The digest of every format that is written here, from one small tree: image bytes that people rely on change only with a
//! line in CHANGELOG.md that says why, and this table is where such a change is noticed.

use diorite_host::file::sha256;
use diorite_image::BootPrograms;
use diorite_image::initrd::contents;
use diorite_image::uki::UkiParts;
use diorite_image::{cpio, disk, esp, filesystem, format, initrd, kernel, uki, verity};
use diorite_model::{Digest, recipe};
use diorite_rootfs::secrets::PublicSecrets;
use diorite_rootfs::tree::{Node, Tree};
use std::collections::BTreeMap;
use std::fs;

const EPOCH: u64 = 1_760_000_000;
const MIB: u64 = 1 << 20;
const RELEASE: &str = "6.12";

/// What is written → SHA-256.
const GOLDEN: &[(&str, &str)] = &[
    ("cpio", "b6907482f928b2bb7867a4d77ace3c66f4a3e0bcac10d2e55b0d0c1eb5431dab"),
    ("disk.qcow2", "13ef809f4a0ecc86273c2162551e24ec57f780cc62cab36691b78b6e42a3c021"),
    ("disk.raw", "1f5407dbff7e27bcf155add6d53ecdc86ce6c691a221b914f765dd28b773a72c"),
    ("disk.vhd", "3448fe9a732e6970451b54b9409f898f20f115d75f7a443cd3f4d65547557bcb"),
    ("disk.vhdx", "edf72b9d55d045a59bf4e1367d2d8358db1b9c290a67b1d1acfb653964799e46"),
    ("disk.vmdk", "260764c9ab1181168e6df528379fe76a08c20bb593b0d679787eb5681d3fc63b"),
    ("erofs", "78f0134cd630c5bdd7bde0a88f918384fa5217c7c8bfd57331f561a4bd0f4410"),
    ("esp", "8734029fd416c46100bc88e2cb3225b90cea83da710df8f01a02aab114dd38c8"),
    ("gpt", "246a016cc2d89547e487066d0914e49e777315a4bb78ce11378d4aea92da49e8"),
    ("initrd", "fff8a611936204d88a06019351935d1105df68bbc5765349f879083ea58384de"),
    ("tree.manifest", "020095f91dd55277d9477e477ef3c2371d35a942a10d4161544d749acb067550"),
    ("uki", "b6b20cd210fa672705ddef0490a196e53b062cfc034edceacac80ff544300fa2"),
    ("verity", "f1b569a1ac6364ce7757db587caa4f7c85537c7d84b509e094884a5572f22b44"),
    ("verity root hash", "832d625724d42e9004637a631be50a802e9eef6aa66e2e823f4090c6c5891e82"),
];

/// A tree from which an image can be made, with something of every kind that a file system must hold.
fn tree() -> Tree {
    let mut tree = Tree::new();
    for file in contents::PROGRAMS.iter().chain(contents::RULES) {
        tree.insert(file.path, Node::file(0o755, file.path));
    }
    tree.insert("usr/lib/os-release", Node::file(0o644, "ID=debian\n"));
    let builtin: String = contents::MODULES.iter().skip(1).map(|m| format!("kernel/{m}.ko\n")).collect();
    let modules = format!("usr/lib/modules/{RELEASE}");
    tree.insert(format!("{modules}/modules.builtin"), Node::file(0o644, builtin));
    tree.insert(
        format!("{modules}/modules.dep"),
        Node::file(0o644, "kernel/erofs.ko: kernel/crc.ko\nkernel/crc.ko:\n"),
    );
    tree.insert(format!("{modules}/modules.alias"), Node::file(0o644, "alias fs-erofs erofs\n"));
    for name in ["erofs", "crc"] {
        tree.insert(format!("{modules}/kernel/{name}.ko"), Node::file(0o644, name));
    }
    tree.insert(format!("{modules}/vmlinuz"), Node::file(0o644, program(0)));
    tree.insert("etc/link", Node::symlink("../usr/lib/os-release"));
    tree.insert("var", Node::directory(0o1777));
    // More than one piece, one that does not compress, and one of zeros.
    let noise: Vec<u8> = (0u64..40_000).flat_map(|n| Digest::of(&n.to_le_bytes()).0).collect();
    tree.insert("usr/share/noise", Node::file(0o640, noise));
    tree.insert("usr/share/zeros", Node::file(0o600, vec![0; 700_000]));
    let text: String = (0..60_000).map(|n| format!("line {n}\n")).collect();
    tree.insert("usr/share/text", Node::file(0o644, text));
    let mut owned = Node::file(0o4755, "owned");
    (owned.uid, owned.gid, owned.mtime) = (1000, 70_000, 1_700_000_000);
    tree.insert("usr/bin/owned", owned);
    tree
}

/// A PE32+ program with one section and header room for `room` more (PE format, "Section Table").
fn program(room: usize) -> Vec<u8> {
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
    // Section and file alignment, size of image and headers, number of directories.
    for (at, value) in [(32, 4096), (36, 512), (56, 2 * 4096), (60, headers as u32), (108, 16u32)] {
        put(optional + at, &value.to_le_bytes());
    }
    let section = optional + 240;
    put(section, b".text");
    for (n, value) in [300, 4096, 512, headers as u32].into_iter().enumerate() {
        put(section + 8 + 4 * n, &value.to_le_bytes());
    }
    file.extend([0x90; 300]);
    file.resize(headers + 512, 0);
    file
}

/// Everything that is made on the way to a disk, with its digest.
fn made() -> BTreeMap<String, Digest> {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let of_file = |name: &str| sha256(&path(name), "the file").unwrap().0;
    let tree = tree();
    let mut made = BTreeMap::new();
    made.insert("tree.manifest".to_owned(), Digest::of(tree.listing().as_bytes()));

    let kernel = kernel::find(&tree).unwrap();
    let gathered = initrd::gather(&tree, kernel.release()).unwrap();
    made.insert("cpio".into(), Digest::of(&cpio::write(&gathered, EPOCH).unwrap()));
    let initrd = initrd::assemble(&tree, &kernel, EPOCH, &PublicSecrets::default()).unwrap();
    made.insert("initrd".into(), Digest::of(initrd.bytes()));

    filesystem::write(&tree, &filesystem::FilesystemOptions::new(EPOCH, [7; 16]), &path("erofs"), None).unwrap();
    made.insert("erofs".into(), of_file("erofs"));
    let root_hash = verity::format(&path("erofs"), &path("verity"), &[1; 32], [8; 16]).unwrap().root_hash;
    made.insert("verity root hash".into(), root_hash);
    made.insert("verity".into(), of_file("verity"));

    let (stub, cmdline, os_release) = (program(8), format!("roothash={root_hash} ro"), b"ID=debian\n");
    let parts = UkiParts { stub: &stub, kernel: &kernel, initrd: &initrd, cmdline: &cmdline, os_release, splash: None };
    let uki = uki::assemble(&parts).unwrap();
    made.insert("uki".into(), Digest::of(uki.bytes()));

    let sizes = recipe::Disk { esp: 64 * MIB, root: 8 * MIB, verity: MIB };
    let programs = BootPrograms { loader: b"loader".to_vec(), uki: uki.bytes().to_vec() };
    let esp = esp::write(&esp::files(&programs, "server", "1", None), sizes.esp, 1, "ESP", EPOCH).unwrap();
    let mut bytes = vec![0; sizes.esp as usize];
    esp.read_at(0, &mut bytes);
    made.insert("esp".into(), Digest::of(&bytes));
    let parts = disk::DiskParts {
        name: "server",
        version: "1",
        root: &path("erofs"),
        verity: &path("verity"),
        root_hash,
        esp: &esp,
        sizes: &sizes,
        state: 16 * MIB,
        public: &PublicSecrets::default(),
    };
    let raw = path("disk.raw");
    let image = disk::write(&parts, &raw).unwrap();
    let bytes = fs::read(&raw).unwrap();
    let (first, last) = (&bytes[..MIB as usize], &bytes[bytes.len() - MIB as usize..]);
    made.insert("gpt".into(), Digest::of(&[first, last].concat()));
    // An installer has this very program in it.
    format::qcow2::write(&raw, &path("disk.qcow2")).unwrap();
    format::vhd::write(&raw, &image.sha256, &path("disk.vhd")).unwrap();
    format::vhdx::write(&raw, &image.sha256, &path("disk.vhdx")).unwrap();
    format::vmdk::write(&raw, &image.sha256, &path("disk.vmdk")).unwrap();
    for name in ["disk.raw", "disk.qcow2", "disk.vhd", "disk.vhdx", "disk.vmdk"] {
        made.insert(name.into(), of_file(name));
    }
    made
}

/// The lines of the table that are missing or say something else.
fn changed(table: &[(&str, &str)], made: &BTreeMap<String, Digest>) -> String {
    let table: BTreeMap<_, _> = table.iter().copied().collect();
    let lines = made.iter().map(|(what, digest)| (what, digest.to_string()));
    lines
        .filter(|(what, digest)| table.get(what.as_str()) != Some(&digest.as_str()))
        .map(|(what, digest)| format!("    (\"{what}\", \"{digest}\"),\n"))
        .collect()
}

#[test]
fn bytes_change_only_when_that_is_meant() {
    let made = made();
    let changed = changed(GOLDEN, &made);
    assert!(
        changed.is_empty(),
        "these bytes are not what they were. Image bytes change only with a line in CHANGELOG.md that says why: write it, \
         then put the digests into {}:\n{changed}",
        file!()
    );
    assert_eq!(GOLDEN.len(), made.len(), "the table names what is not made any more");
}

#[test]
fn a_changed_digest_is_named_and_an_equal_one_is_not() {
    let made = BTreeMap::from([("gpt".to_owned(), Digest::of(b"1")), ("esp".to_owned(), Digest::of(b"2"))]);
    let (one, two) = (Digest::of(b"1").to_string(), Digest::of(b"2").to_string());
    assert_eq!(changed(&[("gpt", &one), ("esp", &two)], &made), "");
    assert_eq!(changed(&[("gpt", &one), ("esp", &one)], &made), format!("    (\"esp\", \"{two}\"),\n"));
    assert_eq!(changed(&[("gpt", &one)], &made), format!("    (\"esp\", \"{two}\"),\n"));
}
