//! Archives that were made to do harm. Each test has a directory `outside` beside the tree and looks at it afterwards.

use diorite_host::progress::Progress;
use diorite_model::{Digest, LockedPackage, Result};
use diorite_rootfs::{deb::Deb, tools_tree};
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use tar::{EntryType, Header};

/// One entry: name, kind, link target, content.
type Entry<'a> = (&'a [u8], EntryType, &'a [u8], &'a [u8]);

const DIR: EntryType = EntryType::Directory;
const FILE: EntryType = EntryType::Regular;
const SYM: EntryType = EntryType::Symlink;
const HARD: EntryType = EntryType::Link;

struct World(tempfile::TempDir);

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("outside")).unwrap();
        fs::write(dir.path().join("outside/secret"), "untouched").unwrap();
        Self(dir)
    }
    fn tree(&self) -> PathBuf {
        self.0.path().join("tree")
    }
    fn outside(&self) -> Vec<u8> {
        self.0.path().join("outside").into_os_string().into_encoded_bytes()
    }
    fn package(&self, name: &str, fields: &str, data: &[u8]) -> (LockedPackage, PathBuf) {
        let path = self.0.path().join(format!("{name}.deb"));
        let control = format!("Package: {name}\nVersion: 1\nArchitecture: all\n{fields}");
        let control = tarball(&[(b"./control", FILE, b"", control.as_bytes())]);
        fs::write(&path, ar(&[("debian-binary", b"2.0\n"), ("control.tar", &control), ("data.tar", data)])).unwrap();
        let package = LockedPackage {
            name: name.into(),
            version: "1".into(),
            architecture: "all".into(),
            release: "local".into(),
            path: format!("{name}.deb"),
            size: 0,
            sha256: Digest([0; 32]),
        };
        (package, path)
    }
    fn run(&self, packages: &[(LockedPackage, PathBuf)]) -> Result<()> {
        let result = tools_tree::unpack(packages, &self.tree(), &Progress::quiet());
        self.check();
        result
    }
    /// Unpacks one package per list of entries.
    fn unpack(&self, packages: &[&[Entry]]) -> Result<()> {
        let package = |(i, entries): (usize, &&[Entry])| self.package(&format!("p{i}"), "", &tarball(entries));
        self.run(&packages.iter().enumerate().map(package).collect::<Vec<_>>())
    }
    /// The world outside the tree is as it was, and nothing is left over.
    fn check(&self) {
        let names: Vec<_> =
            fs::read_dir(self.0.path().join("outside")).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, ["secret"]);
        assert_eq!(fs::read(self.0.path().join("outside/secret")).unwrap(), b"untouched");
        for entry in fs::read_dir(self.0.path()).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(name == "outside" || name == "tree" || name.ends_with(".deb"), "{name} was made outside");
        }
        assert!(!self.tree().join(".staging").exists(), "staging is removed, also after an error");
    }
}

fn ar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = b"!<arch>\n".to_vec();
    for (name, bytes) in members {
        writeln!(out, "{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`", 0, 0, 0, 100644, bytes.len()).unwrap();
        out.extend_from_slice(bytes);
        if bytes.len() % 2 == 1 {
            out.push(b'\n');
        }
    }
    out
}

/// A tar with names written as they are, which the tar crate's own builder refuses to do.
fn tarball(entries: &[Entry]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, kind, link, content) in entries {
        let mut header = Header::new_gnu();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name);
        header.as_mut_bytes()[157..157 + link.len()].copy_from_slice(link);
        header.set_entry_type(*kind);
        header.set_mode(0o4755);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1);
        header.set_size(content.len() as u64);
        if *kind == EntryType::Char {
            header.set_device_major(1).unwrap();
            header.set_device_minor(3).unwrap();
        }
        header.set_cksum();
        out.extend_from_slice(header.as_bytes());
        out.extend_from_slice(content);
        out.resize(out.len().next_multiple_of(512), 0);
    }
    out.resize(out.len() + 1024, 0);
    out
}

#[test]
fn ordinary_members_arrive() {
    let world = World::new();
    world
        .unpack(&[
            &[(b"./", DIR, b"", b""), (b"./lib/", DIR, b"", b""), (b"./lib/a", FILE, b"", b"A")],
            &[(b"./usr/", DIR, b"", b""), (b"./usr/b", FILE, b"", b"B"), (b"./usr/c", HARD, b"./usr/b", b"")],
        ])
        .unwrap();
    assert_eq!(fs::read(world.tree().join("usr/lib/a")).unwrap(), b"A");
    assert_eq!(fs::read(world.tree().join("usr/c")).unwrap(), b"B");
    assert!(fs::read_to_string(world.tree().join("var/lib/dpkg/status")).unwrap().contains("Package: p1"));
    assert_eq!(fs::read_to_string(world.tree().join("versions")).unwrap().lines().count(), 2);
    use std::os::unix::fs::PermissionsExt as _;
    let mode = fs::metadata(world.tree().join("usr/b")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o755, "no setuid in a tools tree");
}

#[test]
fn long_names_arrive() {
    let world = World::new();
    let long = [b'n'; 150];
    let pax = b"30 path=a/name/of/PAX/records\n";
    world
        .unpack(&[&[
            (b"././@LongLink", EntryType::GNULongName, b"", &long),
            (b"short", FILE, b"", b"gnu"),
            (b"pax", EntryType::XHeader, b"", pax),
            (b"short", FILE, b"", b"pax"),
        ]])
        .unwrap();
    assert_eq!(fs::read(world.tree().join(std::str::from_utf8(&long).unwrap())).unwrap(), b"gnu");
    assert_eq!(fs::read(world.tree().join("a/name/of/PAX/records")).unwrap(), b"pax");
}

#[test]
fn writing_through_a_symbolic_link_stays_inside() {
    let outside = World::new().outside();
    for target in [&b"../outside"[..], b"/../../outside", b"../../../../../../../../../outside", &outside] {
        let world = World::new();
        let target = if target == outside { world.outside() } else { target.to_vec() };
        let one: &[Entry] = &[(b"x", SYM, &target, b""), (b"x/secret", FILE, b"", b"evil")];
        let error = world.unpack(&[one]).unwrap_err().to_string();
        assert!(error.contains("does not lead to a directory"), "{error}");
        let two: [&[Entry]; 2] = [&[(b"x", SYM, &target, b"")], &[(b"x/secret", FILE, b"", b"evil")]];
        assert!(World::new().unpack(&two).is_err(), "the same by two packages");
        let deeper: &[Entry] = &[(b"x", SYM, &target, b""), (b"x/new/", DIR, b"", b""), (b"x/new/f", FILE, b"", b"")];
        assert!(World::new().unpack(&[deeper]).is_err());
    }
    // A link to a directory inside is followed inside, an absolute one too.
    let world = World::new();
    world.unpack(&[&[(b"y", DIR, b"", b""), (b"x", SYM, b"/y", b""), (b"x/f", FILE, b"", b"good")]]).unwrap();
    assert_eq!(fs::read(world.tree().join("y/f")).unwrap(), b"good");
}

#[test]
fn a_file_over_a_link_replaces_the_link() {
    let world = World::new();
    world.unpack(&[&[(b"x", SYM, b"../outside/secret", b""), (b"x", FILE, b"", b"inside")]]).unwrap();
    assert_eq!(fs::read(world.tree().join("x")).unwrap(), b"inside");
    assert!(!world.tree().join("x").is_symlink());
}

#[test]
fn names_that_lead_outside_are_refused() {
    for name in [&b"../outside/secret"[..], b"a/../../outside/secret", b"./..", b"a/..", b"/../outside/secret"] {
        let error = World::new().unpack(&[&[(name, FILE, b"", b"evil")]]).unwrap_err().to_string();
        assert!(error.contains("leads outside") && error.contains("p0.deb"), "{error}");
    }
}

#[test]
fn absolute_names_arrive_inside() {
    let world = World::new();
    let name = [&world.outside()[..], b"/secret"].concat();
    world.unpack(&[&[(&name, FILE, b"", b"inside")]]).unwrap();
    let inside = world.tree().join(std::str::from_utf8(&name[1..]).unwrap());
    assert_eq!(fs::read(inside).unwrap(), b"inside");
}

#[test]
fn a_name_with_nul_is_refused() {
    let pax = b"18 path=a\0/../bad\n";
    let entries: &[Entry] = &[(b"pax", EntryType::XHeader, b"", pax), (b"a", FILE, b"", b"x")];
    assert!(World::new().unpack(&[entries]).unwrap_err().to_string().contains("leads outside"));
}

#[test]
fn hard_links_reach_only_members_of_the_same_package() {
    for target in [&b"/etc/passwd"[..], b"etc/passwd", b"../outside/secret", b"later"] {
        let world = World::new();
        assert!(world.unpack(&[&[(b"x", HARD, target, b""), (b"later", FILE, b"", b"")]]).is_err());
        assert!(!world.tree().join("x").exists());
    }
    // Nor through a link that stands where a member was.
    let world = World::new();
    let outside = [&world.outside()[..], b"/secret"].concat();
    let entries: &[Entry] = &[(b"m", FILE, b"", b"x"), (b"m", SYM, &outside, b""), (b"x", HARD, b"m", b"")];
    assert!(world.unpack(&[entries]).is_err());
}

#[test]
fn impossible_sizes_are_an_error() {
    let world = World::new();
    let mut data = tarball(&[(b"x", FILE, b"", b"12345")]);
    let mut header = Header::new_gnu();
    header.as_mut_bytes().copy_from_slice(&data[..512]);
    for size in [6 + 1024 * 512, 1 << 40, u64::MAX >> 1] {
        header.set_size(size);
        header.set_cksum();
        data[..512].copy_from_slice(header.as_bytes());
        let error = world.run(&[world.package("p0", "", &data)]).unwrap_err().to_string();
        assert!(error.contains("p0.deb"), "{error}");
    }
    // A name of gigabytes is refused before it is read.
    let mut name = Header::new_gnu();
    name.set_entry_type(EntryType::GNULongName);
    name.set_size(1 << 33);
    name.set_cksum();
    let error = world.run(&[world.package("p0", "", name.as_bytes())]).unwrap_err().to_string();
    assert!(error.contains("megabyte"), "{error}");
}

#[test]
fn a_package_cut_anywhere_is_one_error() {
    let world = World::new();
    let noise: Vec<u8> = (0..4000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let data = tarball(&[(b"./", DIR, b"", b""), (b"./x", FILE, b"", &noise)]);
    let control = tarball(&[(b"./control", FILE, b"", b"Package: p0\nVersion: 1\nArchitecture: all\n")]);
    let mut xz = Vec::new();
    liblzma::read::XzEncoder::new(data.as_slice(), 1).read_to_end(&mut xz).unwrap();
    let mut gz = Vec::new();
    flate2::read::GzEncoder::new(data.as_slice(), flate2::Compression::fast()).read_to_end(&mut gz).unwrap();
    let zst = zstd::encode_all(data.as_slice(), 1).unwrap();
    for (name, packed) in [("data.tar.xz", &xz), ("data.tar.gz", &gz), ("data.tar.zst", &zst), ("data.tar", &data)] {
        let whole = ar(&[("debian-binary", b"2.0\n"), ("control.tar", &control), (name, packed)]);
        let (package, path) = world.package("p0", "", &[]);
        let pair = [(package, path.clone())];
        fs::write(&path, &whole).unwrap();
        world.run(&pair).unwrap();
        for cut in (0..whole.len() - 2).step_by(97) {
            fs::write(&path, &whole[..cut]).unwrap();
            let error = world.run(&pair).unwrap_err().to_string();
            assert!(error.contains("p0.deb"), "{name} cut at {cut}: {error}");
        }
        if name != "data.tar" && name != "data.tar.zst" {
            // One flipped bit in the compressed stream is seen by its checksum.
            let mut bad = whole.clone();
            let at = whole.len() - packed.len() / 2;
            bad[at] ^= 0x10;
            fs::write(&path, &bad).unwrap();
            assert!(world.run(&pair).is_err(), "{name}");
        }
    }
}

#[test]
fn one_path_of_two_packages_needs_a_reason() {
    let data = tarball(&[(b"f", FILE, b"", b"one")]);
    let other = tarball(&[(b"f", FILE, b"", b"two")]);
    let world = World::new();
    let pair = [world.package("a", "", &data), world.package("b", "", &other)];
    let error = world.run(&pair).unwrap_err().to_string();
    assert!(error.contains("`a` and `b`") && error.contains("/f"), "{error}");
    for (first, second, wins) in [("", "Replaces: a\n", "two"), ("Replaces: b (<< 2)\n", "", "one")] {
        let world = World::new();
        world.run(&[world.package("a", first, &data), world.package("b", second, &other)]).unwrap();
        assert_eq!(fs::read_to_string(world.tree().join("f")).unwrap(), wins);
    }
    // A version that the relation does not admit; and the same path through an alias of the directory.
    let world = World::new();
    assert!(world.run(&[world.package("a", "", &data), world.package("b", "Replaces: a (<< 1)\n", &other)]).is_err());
    let (one, two) = (tarball(&[(b"./bin/f", FILE, b"", b"1")]), tarball(&[(b"./usr/bin/f", FILE, b"", b"2")]));
    assert!(world.run(&[world.package("a", "", &one), world.package("b", "", &two)]).is_err());
}

/// The order of members and the version of the format, as dpkg-deb judges them (deb(5)).
#[test]
fn members_out_of_order_are_refused() {
    let world = World::new();
    let data = tarball(&[(b"./x", FILE, b"", b"x")]);
    let (package, path) = world.package("p0", "", &data);
    let control = tarball(&[(b"./control", FILE, b"", b"Package: p0\nVersion: 1\nArchitecture: all\n")]);
    let (binary, control, data) =
        (("debian-binary", &b"2.0\n"[..]), ("control.tar", &control[..]), ("data.tar", &data[..]));
    let mut reasons = Vec::new();
    for (members, good) in [
        (&[binary, ("_note", b"x"), control, ("_more", b""), data, ("behind", b"x")][..], true),
        (&[("debian-binary", b"2.1\nmore\n"), control, data], true),
        (&[binary, data, control], false),
        (&[binary, ("note", b"x"), control, data], false),
        (&[binary, control, ("note", b"x"), data], false),
        (&[binary, control, control, data], false),
        (&[binary, control], false),
        (&[binary], false),
        (&[("debian-binary", b"3.0\n"), control, data], false),
        (&[("debian-binary", b"2.0"), control, data], false),
        (&[("debian-binary", b""), control, data], false),
        (&[control, binary, data], false),
    ] {
        fs::write(&path, ar(members)).unwrap();
        let result = world.run(&[(package.clone(), path.clone())]);
        let names: Vec<_> = members.iter().map(|(name, _)| *name).collect();
        assert_eq!(result.is_ok(), good, "{names:?}");
        reasons.extend(result.err().and_then(|e| e.cause));
        if let Some(theirs) = dpkg_deb(&path) {
            assert_eq!(theirs, good, "dpkg-deb judges {names:?} otherwise");
        }
    }
    insta::assert_snapshot!("members_out_of_order", reasons.join("\n"));
    let signed = String::from_utf8(ar(&[binary])).unwrap().replacen("4         `", "+4        `", 1);
    fs::write(&path, signed).unwrap();
    assert!(Deb::open(&path).is_err_and(|e| e.to_string().contains("not a number")));
}

/// Does dpkg-deb unpack it? None where there is no dpkg-deb, which is no failure: the verdicts above are what it says.
fn dpkg_deb(file: &std::path::Path) -> Option<bool> {
    let into = tempfile::tempdir().unwrap();
    let output = std::process::Command::new("dpkg-deb").arg("--extract").arg(file).arg(into.path()).output().ok()?;
    Some(output.status.success())
}

#[test]
fn a_tools_tree_has_no_devices() {
    assert!(World::new().unpack(&[&[(b"null", EntryType::Char, b"", b"")]]).is_err());
}

#[test]
fn what_the_lock_does_not_say_is_refused() {
    let world = World::new();
    let (mut package, path) = world.package("p", "", &tarball(&[]));
    package.version = "2".into();
    let error = world.run(&[(package, path.clone())]).unwrap_err().to_string();
    assert!(error.contains("does not match the lock"), "{error}");
    assert_eq!(Deb::open(&path).unwrap().version(), "1");
}
