//! Secure Boot: what a machine starts whose firmware has the image's own keys, and what it does not: programs that nobody has
//! signed, that somebody else has, or that were changed since.

use super::*;
use diorite_image::esp::{self, ENROLMENT, EspFile};
use diorite_image::read::ImageReader;
use std::collections::BTreeMap as Files;
use std::os::unix::fs::FileExt as _;

/// Files of an EFI system partition.
type EspContent = Files<String, Vec<u8>>;

const PROFILE: &str = "extends = \"base\"\n[image]\nname = \"server\"\nversion = \"1\"\n[signing]\n";

/// Builds the profile `mine`, and returns its disk and the files that firmware reads.
fn built(project: &Project, more: &[&str]) -> (PathBuf, EspContent) {
    let out = format!("out-{}", more.concat().replace(['-', '/'], ""));
    let arguments = [&["build", "mine", "--relock", "--format", "raw", "--out", &out], more].concat();
    let output = vm::online(project, &arguments).output().expect("the program starts");
    vm::expect(&output, 0, &project.path(&out));
    let disk = project.path(&out).join("disk.raw").canonicalize().expect("the disk");
    let files = ImageReader::open(&disk).unwrap_or_else(|e| panic!("{e}")).esp.files;
    (disk, files)
}

/// A copy of the disk with these files for firmware.
fn with(disk: &Path, files: &EspContent, to: PathBuf) -> PathBuf {
    fs::copy(disk, &to).expect("a copy");
    let partition = ImageReader::open(disk).unwrap_or_else(|e| panic!("{e}")).disk;
    let partition = partition.partitions().iter().find(|p| p.label == "esp").expect("a boot partition").clone();
    let listed: Vec<EspFile> = files.iter().map(|(path, file)| (path.clone(), file.as_slice().into())).collect();
    let size = partition.sectors * 512;
    let made = esp::write(&listed, size, 7, "ESP", 1_760_000_000).unwrap_or_else(|e| panic!("{e}"));
    let copy = fs::File::options().write(true).open(&to).expect("the copy");
    copy.write_all_at(&vec![0; size as usize], partition.offset()).expect("zeros");
    for (offset, piece) in made.pieces() {
        copy.write_all_at(piece, partition.offset() + offset).expect("a piece");
    }
    to
}

/// What the firmware of a new machine makes of the disk once it has the keys: a kernel is started, or something is denied.
fn started(project: &Project, tools: &ToolsTree, accelerator: &Accelerator, disk: &Path, name: &str) -> String {
    let spec = MachineSpec { boot: Boot::OwnKeys, ..machine(tools, accelerator, disk, project.path(name)) };
    let machine = Machine::start(spec).unwrap_or_else(|e| panic!("{name}: {e}"));
    let end = Instant::now() + Duration::from_secs(400);
    loop {
        let said = machine.console.tail(400);
        let over = [
            "Linux version",
            "ccess denied",
            "ccess Denied",
            "ecurity violation",
            "ecurity Violation",
            "No bootable option",
        ];
        if over.iter().any(|words| said.contains(words)) || machine.ended().is_some() {
            return said;
        }
        assert!(Instant::now() < end, "{name} says neither: {said}");
    }
}

#[test]
fn firmware_starts_what_the_key_has_signed_and_nothing_else() {
    let _alone = vm::alone();
    let project = Project::locked();
    fs::write(project.path("profiles/mine.toml"), PROFILE).expect("a profile");
    for keys in ["keys", "others"] {
        project.succeed(&["keys", "new", keys]);
    }
    let (disk, right) = built(&project, &["--keys", "keys"]);
    let (_, unsigned) = built(&project, &["--unsigned"]);
    let (_, others) = built(&project, &["--keys", "others"]);
    let uki = right.keys().find(|path| path.starts_with("EFI/Linux/")).expect("a kernel").clone();
    assert!(right.keys().any(|path| path.starts_with(ENROLMENT)));

    // Each with the right keys for the firmware, and everything else right.
    let exchanged = |from: &EspContent, paths: &[&str]| {
        let mut files = right.clone();
        paths.iter().for_each(|path| drop(files.insert((*path).to_owned(), from[*path].clone())));
        files
    };
    let changed = |what: &[u8], to: &[u8]| {
        let mut files = right.clone();
        let program = files.get_mut(&uki).expect("a kernel");
        let at = program.windows(what.len()).position(|window| window == what).expect("it is there");
        program[at..at + to.len()].copy_from_slice(to);
        files
    };
    let loader = "EFI/BOOT/BOOTX64.EFI";
    let initrd = {
        let mut files = right.clone();
        let program = files.get_mut(&uki).expect("a kernel");
        // The initrd is the largest section but for the kernel, and comes last: the middle of the second half is in it.
        let at = program.len() - program.len() / 8;
        program[at] ^= 1;
        files
    };
    let wrongs = [
        ("unsigned", exchanged(&unsigned, &[&uki])),
        ("other-key", exchanged(&others, &[&uki])),
        ("command-line", changed(b" panic=10", b" panic=11")),
        ("initrd", initrd),
        ("loader", exchanged(&others, &[loader, "EFI/systemd/systemd-bootx64.efi"])),
    ];
    let tools = ToolsTree::open(&material("DIORITE_TEST_TOOLS")).expect("the tools tree");
    let accelerator = accel::probe().expect("an accelerator");
    let copy = |name: &str, files: &EspContent| with(&disk, files, project.path(format!("{name}.raw")));
    // What is copied is started like the disk itself.
    let said = started(&project, &tools, &accelerator, &copy("right", &right), "right");
    assert!(said.contains("Linux version"), "the right image is not started: {said}");
    for (name, files) in &wrongs {
        let said = started(&project, &tools, &accelerator, &copy(name, files), name);
        println!("{name}: {}", said.lines().rev().find(|line| line.contains("enied")).unwrap_or("?"));
        assert!(!said.contains("Linux version"), "{name} is started: {said}");
        assert!(said.contains("ccess denied") || said.contains("ccess Denied"), "{name}: {said}");
    }
}
