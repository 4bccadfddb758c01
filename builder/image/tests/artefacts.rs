//! Foreign tools judge every artefact made from a real tree, and the same judge refuses a damaged one.
//!
//! DIORITE_TEST_TREE: a configured tree (pack or directory). DIORITE_TEST_TOOLS: a tools tree.

mod support;

use diorite_host::tools::{Tool, ToolsTree};
use diorite_image::pe::Pe;
use diorite_image::{format, initrd, kernel, measure};
use diorite_model::Digest;
use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use support::Made;

struct Bench {
    tools: ToolsTree,
    directory: PathBuf,
    made: Made,
}

/// Made once for all tests. Nothing that is made once is ever dropped, so that its directory is a known one, which the next
/// run takes over: gigabytes in a temporary directory would stay there.
static BENCH: LazyLock<Bench> = LazyLock::new(|| {
    let tools = ToolsTree::open(&support::directory("DIORITE_TEST_TOOLS")).unwrap_or_else(|e| panic!("{e}"));
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("artefacts");
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).unwrap();
    let made = support::make(&support::tree(), &directory).unwrap_or_else(|e| panic!("{e}"));
    Bench { tools, directory, made }
});

impl Bench {
    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Runs a tool that may see our directory; true when it ends well and says `good` (anything, if empty).
    fn accepts(&self, tool: Tool, args: &[&str], good: &str) -> bool {
        let command = self.tools.command(tool).args(args).output(&self.directory);
        let output = command.run().unwrap_or_else(|e| panic!("{e}"));
        let words = String::from_utf8_lossy(&[output.stdout, output.log].concat()).into_owned();
        println!("{} {}: {}\n{words}", tool.name(), args.join(" "), output.status);
        output.status.success() && words.contains(good)
    }

    /// A copy with some bytes changed.
    fn damaged(&self, name: &str, offset: u64, bytes: &[u8]) -> PathBuf {
        let copy = self.path(&format!("damaged-{name}"));
        std::fs::copy(self.path(name), &copy).unwrap();
        let file = File::options().write(true).open(&copy).unwrap();
        file.write_all_at(bytes, offset).unwrap();
        copy
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn fsck_fat_accepts_the_esp_and_refuses_a_damaged_one() {
    let sound = |path: &Path| BENCH.accepts(Tool::FsckFat, &["-n", text(path)], "files");
    assert!(sound(&BENCH.path("esp")));
    // The first copy of the table no longer agrees with the second.
    let reserved = 32 * 512;
    assert!(!sound(&BENCH.damaged("esp", reserved + 4 * 40, &[0; 400])));
}

#[test]
fn sgdisk_accepts_the_table_and_refuses_a_damaged_one() {
    let sound = |path: &Path| BENCH.accepts(Tool::Sgdisk, &["-v", text(path)], "No problems found");
    assert!(sound(&BENCH.path("disk.raw")));
    // Inside the first partition's entry: both checksums are wrong then.
    assert!(!sound(&BENCH.damaged("disk.raw", 1024 + 40, &[0xee])));
}

#[test]
fn the_disk_is_a_discoverable_image_of_this_root_hash() {
    let sound = |path: &Path, hash: &str| {
        let hash = format!("--root-hash={hash}");
        let policy = "--image-policy=root=verity:esp=unprotected:=unused+absent";
        BENCH.accepts(Tool::SystemdDissect, &["--validate", &hash, policy, text(path)], "OK")
    };
    let disk = BENCH.path("disk.raw");
    let hash = BENCH.made.root_hash.to_string();
    assert!(sound(&disk, &hash));
    assert!(!sound(&disk, &hash.chars().rev().collect::<String>()), "another root hash belongs to no partition");
}

#[test]
fn the_partitions_hold_what_was_made() {
    let disk = File::open(BENCH.path("disk.raw")).unwrap();
    for (name, index) in [("esp", 0), ("root", 1), ("verity", 2)] {
        let part = std::fs::read(BENCH.path(name)).unwrap();
        let mut found = vec![0; part.len()];
        disk.read_exact_at(&mut found, BENCH.made.image.partitions[index].offset()).unwrap();
        assert!(found == part, "{name}");
    }
    let size = disk.metadata().unwrap().len();
    assert_eq!(size, BENCH.made.image.bytes);
    assert_eq!(diorite_host::file::sha256(&BENCH.path("disk.raw"), "the disk").unwrap().0, BENCH.made.image.sha256);
    assert!(disk.metadata().unwrap().blocks() * 512 < size / 2, "the file is sparse");
}

#[test]
fn qemu_img_accepts_the_qcow2_and_refuses_a_damaged_one() {
    let sound = |path: &Path| BENCH.accepts(Tool::QemuImg, &["check", text(path)], "No errors were found");
    let good = BENCH.path("disk.qcow2");
    assert!(sound(&good));
    // A reference count that says a used cluster is free.
    assert!(!sound(&BENCH.damaged("disk.qcow2", 2 * 65536 + 10, &[0, 0])));
}

#[test]
fn qemu_img_reads_every_format_as_the_same_disk_and_notices_a_change() {
    let raw = BENCH.path("disk.raw");
    // QEMU calls a VHD by the product that had it first, and has no test of its structure: it has none.
    for (format, name, structured) in [
        (format::qcow2::FORMAT, "qcow2", true),
        (format::vhd::FORMAT, "vpc", false),
        (format::vhdx::FORMAT, "vhdx", true),
        (format::vmdk::FORMAT, "vmdk", true),
    ] {
        let good = BENCH.path(format.file);
        let same = |path: &Path| {
            BENCH.accepts(Tool::QemuImg, &["compare", "-f", "raw", "-F", name, text(&raw), text(path)], "identical")
        };
        let sound = |path: &Path| BENCH.accepts(Tool::QemuImg, &["check", "-f", name, text(path)], "No errors");
        assert!(same(&good), "{name}");
        assert_eq!(sound(&good), structured, "{name}");
        // Converted by another's hand.
        let back = BENCH.path("converted.raw");
        assert!(BENCH.accepts(Tool::QemuImg, &["convert", "-f", name, "-O", "raw", text(&good), text(&back)], ""));
        assert!(diorite_host::file::sha256(&back, "the disk").unwrap().0 == BENCH.made.image.sha256, "{name}");
        // The last that is data is the second copy of the partition table; in a file that is compressed, whatever is in the
        // middle of it.
        let bytes = std::fs::read(&good).unwrap();
        let table = bytes.windows(8).rposition(|w| w == b"EFI PART").unwrap_or(bytes.len() / 2);
        assert!(!same(&BENCH.damaged(format.file, table as u64, b"efi part")), "{name}");
    }
}

#[test]
fn the_unified_kernel_image_is_ukify_s_own_byte_for_byte() {
    let tree = support::tree();
    let kernel = kernel::find(&tree).unwrap();
    let put = |name: &str, bytes: &[u8]| {
        std::fs::write(BENCH.path(name), bytes).unwrap();
        text(&BENCH.path(name)).to_owned()
    };
    let build = |cmdline: &str| {
        let args = [
            "build".to_owned(),
            format!("--linux={}", put("linux", kernel.program())),
            format!("--initrd={}", text(&BENCH.path("initrd"))),
            format!("--os-release=@{}", put("os-release", tree.read("usr/lib/os-release").unwrap())),
            format!("--uname={}", kernel.release()),
            format!("--cmdline={cmdline}"),
            format!("--stub={}", put("stub", tree.read("usr/lib/systemd/boot/efi/linuxx64.efi.stub").unwrap())),
            format!("--output={}", text(&BENCH.path("ukify.efi"))),
        ];
        assert!(BENCH.accepts(Tool::Ukify, &args.each_ref().map(String::as_str), ""));
        std::fs::read(BENCH.path("ukify.efi")).unwrap() == std::fs::read(BENCH.path("uki.efi")).unwrap()
    };
    assert!(build(&BENCH.made.cmdline));
    assert!(!build("another=line"));
}

/// systemd's own program, given the parts as files, expects the same values; with another command line, others.
#[test]
fn systemd_measure_expects_the_same_of_pcr_11() {
    let uki = Pe::parse(std::fs::read(BENCH.path("uki.efi")).unwrap()).unwrap();
    let part = |name: &str| {
        let path = BENCH.path(&format!("measured{name}"));
        std::fs::write(&path, uki.section(name).unwrap().unwrap()).unwrap();
        text(&path).to_owned()
    };
    let sections = [".linux", ".osrel", ".cmdline", ".initrd", ".uname", ".sbat"];
    let options: Vec<String> = sections.map(|name| format!("--{}={}", &name[1..], part(name))).into();
    let expected = measure::pcr_11(&std::fs::read(BENCH.path("uki.efi")).unwrap()).unwrap();
    let judged = |options: &[String]| {
        let phases = expected.iter().map(|pcr| format!("--phase={}", pcr.phases));
        let all: Vec<_> = ["calculate", "--bank=sha256"]
            .map(str::to_owned)
            .into_iter()
            .chain(phases)
            .chain(options.to_vec())
            .collect();
        let arguments: Vec<&str> = all.iter().map(String::as_str).collect();
        expected
            .iter()
            .map(|pcr| BENCH.accepts(Tool::SystemdMeasure, &arguments, &pcr.sha256.to_string()))
            .collect::<Vec<_>>()
    };
    assert_eq!(judged(&options), [true; 5]);
    std::fs::write(BENCH.path("measured.cmdline"), "init=/bin/sh").unwrap();
    assert_eq!(judged(&options), [false; 5]);
}

#[test]
fn ukify_and_objdump_find_every_section_whole_and_refuse_half_a_file() {
    let initrd = Digest::of(&std::fs::read(BENCH.path("initrd")).unwrap()).to_string();
    let sound = |path: &Path| {
        BENCH.accepts(Tool::Ukify, &["inspect", text(path)], &format!("sha256: {initrd}"))
            && BENCH.accepts(Tool::Objdump, &["-h", text(path)], ".linux")
    };
    assert!(sound(&BENCH.path("uki.efi")));
    let bytes = std::fs::read(BENCH.path("uki.efi")).unwrap();
    let half = BENCH.path("half.efi");
    std::fs::write(&half, &bytes[..bytes.len() / 2]).unwrap();
    assert!(!sound(&half));
}

#[test]
fn the_initrd_s_module_indexes_are_those_of_depmod() {
    // depmod wrote the tree's own indexes; from the same lists ours must come out the same.
    let tree = support::tree();
    let kernel = kernel::find(&tree).unwrap();
    let release = kernel.release();
    let file = |name: &str| tree.read(format!("usr/lib/modules/{release}/{name}")).unwrap();
    let list = std::str::from_utf8(file("modules.dep")).unwrap();
    let entries: Vec<_> = (0..)
        .zip(list.lines())
        .map(|(order, line)| {
            let name = line.split(".ko").next().unwrap().rsplit('/').next().unwrap().replace('-', "_");
            (name.into_bytes(), order, line.as_bytes().to_vec())
        })
        .collect();
    let ours = diorite_image::modules::index::write(&entries);
    assert!(ours == file("modules.dep.bin"));
    assert!(diorite_image::modules::index::write(&entries[1..]) != file("modules.dep.bin"));

    let modules = diorite_image::modules::Modules::read(&tree, release).unwrap_or_else(|e| panic!("{e}"));
    let names: Vec<&str> = entries.iter().map(|e| std::str::from_utf8(&e.0).unwrap()).collect();
    let mut placed = diorite_rootfs::tree::Tree::new();
    modules.place(&modules.closure(&names), &mut placed).unwrap_or_else(|e| panic!("{e}"));
    let ours = placed.read(format!("usr/lib/modules/{release}/modules.alias.bin")).unwrap();
    assert!(ours == file("modules.alias.bin"));
}

#[test]
fn the_initrd_is_complete_and_the_same_twice() {
    let tree = support::tree();
    let kernel = kernel::find(&tree).unwrap();
    let again =
        initrd::assemble(&tree, &kernel, support::EPOCH, &diorite_rootfs::secrets::PublicSecrets::default()).unwrap();
    assert!(again.bytes() == std::fs::read(BENCH.path("initrd")).unwrap());
    let gathered = initrd::gather(&tree, kernel.release()).unwrap();
    // Every program's interpreter and libraries are inside, by the paths the loader will look at.
    for (path, node) in &gathered.nodes {
        let Some(bytes) = gathered.read(path).filter(|b| diorite_image::elf::is_elf(b)) else { continue };
        if path.ends_with(b".ko") {
            continue;
        }
        let shown = String::from_utf8_lossy(path);
        let needs = diorite_image::elf::needs(bytes).unwrap();
        for library in needs.libraries.iter().chain(needs.interpreter.iter()) {
            let name = library.rsplit('/').next().unwrap();
            let found = gathered.nodes.keys().any(|p| p.ends_with(format!("/{name}").as_bytes()));
            assert!(found, "{shown} needs {library} ({:o})", node.mode);
        }
    }
    // And no link leads out of it, except to what the kernel mounts.
    for (path, node) in &gathered.nodes {
        if let diorite_rootfs::tree::NodeKind::Symlink(target) = &node.kind
            && target != b"/dev/null"
        {
            assert!(gathered.resolve(path).is_some(), "{} leads nowhere", String::from_utf8_lossy(path));
        }
    }
}
