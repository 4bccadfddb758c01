//! Our configured tree against one that dpkg itself made of the same packages: file list, kinds, modes, owners,
//! contents, links, attributes. What may differ is listed here, with the reason, and nothing else may.
//!
//! Needs `DIORITE_TEST_POOL` (a directory of .debs with the Essential set) and `DIORITE_TEST_TOOLS` (an unpacked tools tree
//! with dpkg, tar and apt). A program of its own, because both trees are made in a child that owns all ids, and because
//! our stand-ins for helpers are this program under other names.

use diorite_host::progress::Progress;
use diorite_host::sandbox::{self, Sandbox, typed};
use diorite_model::{Digest, Error, LockedPackage, Result};
use diorite_rootfs::build::{self, TreeJob, TreeParts, TreeTimes};
use diorite_rootfs::clock::Times;
use diorite_rootfs::deb::Deb;
use diorite_rootfs::origins::Origins;
use diorite_rootfs::read_directory::read_directory;
use diorite_rootfs::tree::{Node, NodeKind, Tree};
use diorite_rootfs::{accounts, helpers, order, pack};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

const EPOCH: u64 = 1_760_000_000;
/// An epoch that no clock has reached, the year 2100: to the scripts it is the same as a clock that is behind.
const NOT_YET: u64 = 4_102_444_800;

/// Packages of the pool that only an initrd made on the machine would need; the builder provides it.
const NOT_NEEDED: [&str; 7] = [
    "initramfs-tools",
    "initramfs-tools-core",
    "initramfs-tools-bin",
    "klibc-utils",
    "libklibc",
    "dracut-install",
    "cpio",
];

/// Paths that may differ, and why. A path ending in `/` stands for everything below it.
const ALLOWED: &[(&str, &str)] = &[
    ("var/lib/dpkg/arch", "ours writes none: dpkg knows its own architecture from arch-native"),
    ("var/lib/dpkg/triggers/File", "the same lines in the order of unpacking (compared below)"),
    (
        "etc/systemd/system/timers.target.wants/dpkg-db-backup.timer",
        "the same unit as /usr/lib… and /lib…: systemctl writes the one, without systemctl unpacked yet the other is written",
    ),
    ("etc/systemd/system/timers.target.wants/fstrim.timer", "as above"),
    ("var/lib/dpkg/available", "a cache of dselect's"),
    ("var/log/", "logs hold times; ours are taken out"),
    ("var/cache/ldconfig/aux-cache", "a cache with inode numbers; ours is taken out"),
    ("var/cache/debconf/", "the -old copies of debconf's files, and the order of questions in them (compared below)"),
    ("etc/.pwd.lock", "a lock"),
    ("etc/passwd-", "a backup"),
    ("etc/group-", "a backup"),
    ("etc/shadow-", "a backup"),
    ("etc/gshadow-", "a backup"),
    ("etc/subuid-", "a backup"),
    ("etc/subgid-", "a backup"),
    ("etc/ssh/ssh_host_ecdsa_key", "empty keys stood in for those that would be made; ours are taken out"),
    ("etc/ssh/ssh_host_ed25519_key", "as above"),
    ("etc/ssh/ssh_host_rsa_key", "as above"),
    ("var/lib/dbus/machine-id", "identity of a machine; ours is taken out"),
    ("var/lib/dpkg/status-old", "a backup"),
    ("var/lib/dpkg/diversions-old", "a backup"),
    ("var/lib/dpkg/statoverride-old", "a backup"),
    ("var/lib/dpkg/lock", "a lock"),
    ("var/lib/dpkg/lock-frontend", "a lock"),
    ("var/lib/dpkg/triggers/Lock", "a lock"),
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    if let Some(code) = diorite_host::multicall::dispatch(&[]) {
        return code;
    }
    if let Some(status) = helpers::dispatch(&args[0], &args[1..]) {
        return ExitCode::from(status as u8);
    }
    let registry: [(&str, sandbox::Job); 3] = [
        ("ours", |json| typed(json, |job: TreeJob, progress| build::configured(&job, progress))),
        ("reference", |json| typed(json, |job: Reference, _| reference(&job))),
        ("ask", |json| typed(json, |job: Ask, _| ask(&job))),
    ];
    if let Some(code) = sandbox::inside(&registry) {
        return code;
    }
    match test() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            println!("{e}");
            ExitCode::FAILURE
        }
    }
}

fn variable(name: &str) -> PathBuf {
    PathBuf::from(std::env::var_os(name).unwrap_or_else(|| panic!("{name} is not set; `make test` sets it")))
}

fn test() -> Result<()> {
    let (pool, tools) = (variable("DIORITE_TEST_POOL"), variable("DIORITE_TEST_TOOLS"));
    let packages = packages(&pool)?;
    let dir =
        tempfile::Builder::new().prefix("against-dpkg").tempdir_in(pool_neighbour()).expect("a scratch directory");
    let quiet = Progress::quiet();
    let job = |name: &str, epoch: u64| TreeJob {
        trees: vec![TreeParts {
            packages: packages.clone(),
            result: dir.path().join(name).join("pack"),
            ..TreeParts::default()
        }],
        epoch,
        work: dir.path().join(name).join("work"),
    };
    let (one, two, later) = (job("one", EPOCH), job("a-longer/path/two", EPOCH), job("later", NOT_YET));
    sandbox::run_inside::<TreeTimes>("ours", &one, &quiet)?;
    let work = dir.path().join("reference");
    let place = Reference { packages, tools: tools.clone(), work: work.clone() };
    sandbox::run_inside::<()>("reference", &place, &quiet)?;
    let (ours, theirs) = (pack::verify(&one.trees[0].result)?, pack::verify(&work.join("pack"))?);
    compare(&ours, &theirs);
    println!("test our_tree_is_dpkgs_tree ... ok ({} files)", ours.nodes.len());

    sandbox::run_inside::<TreeTimes>("ours", &two, &quiet)?;
    for file in ["index", "contents", "origins"] {
        let same = fs::read(one.trees[0].result.join(file)).ok() == fs::read(two.trees[0].result.join(file)).ok();
        assert!(same, "two builds differ in the pack's {file}");
    }
    println!("test two_builds_in_different_directories_give_the_same_bytes ... ok");

    sandbox::run_inside::<TreeTimes>("ours", &later, &quiet)?;
    before_the_epoch(&ours, &pack::verify(&later.trees[0].result)?);
    println!("test a_clock_that_stands_before_the_epoch_changes_nothing ... ok");

    let asked: Vec<String> = sandbox::run_inside("ask", &Ask { root: one.work.join("0/root"), tools }, &quiet)?;
    assert!(asked.is_empty(), "dpkg or apt finds something wrong:\n{}", asked.join("\n"));
    println!("test dpkg_audit_verify_and_apt_check_find_nothing ... ok");

    for name in [one.work, two.work, later.work, work] {
        let _ = sandbox::run_inside::<bool>("remove", &name, &quiet);
    }
    Ok(())
}

/// Scratch directories where there is room for three trees: the target directory's file system, else the system's own.
fn pool_neighbour() -> PathBuf {
    std::env::var_os("CARGO_TARGET_TMPDIR").map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from)
}

fn packages(pool: &Path) -> Result<Vec<(LockedPackage, PathBuf)>> {
    let list = fs::read_dir(pool).map_err(|e| Error::io("cannot list the pool", pool, e))?;
    let mut paths: Vec<PathBuf> = list.flatten().map(|e| e.path()).collect();
    paths.retain(|p| p.extension().is_some_and(|e| e == "deb"));
    paths.sort();
    let mut packages = Vec::new();
    for path in paths {
        let deb = Deb::open(&path)?;
        if NOT_NEEDED.contains(&deb.name()) {
            continue;
        }
        let locked = LockedPackage {
            name: deb.name().into(),
            version: deb.version().into(),
            architecture: deb.architecture().into(),
            release: "local".into(),
            path: String::new(),
            size: path.metadata().map_or(0, |m| m.len()),
            sha256: Digest([0; 32]),
        };
        packages.push((locked, path));
    }
    Ok(packages)
}

#[derive(Serialize, Deserialize)]
struct Ask {
    root: PathBuf,
    tools: PathBuf,
}

/// What dpkg of the tree says of itself, and what apt of the tools tree says of the tree's status. Empty is good.
fn ask(ask: &Ask) -> Result<Vec<String>> {
    let mut words = Vec::new();
    for argv in [["/usr/bin/dpkg", "--audit"], ["/usr/bin/dpkg", "--verify"]] {
        let output = Sandbox::new(&ask.root).run(&argv, "/")?;
        if !output.status.success() || !output.log.is_empty() {
            words.push(format!("{argv:?}: {}\n{}", output.status, output.text()));
        }
    }
    let state = ask.root.with_extension("state");
    fs::create_dir_all(&state)
        .and_then(|()| fs::copy(ask.root.join("var/lib/dpkg/status"), state.join("status")))
        .map_err(|e| Error::io("cannot copy the status", &state, e))?;
    let options = [
        "-o",
        "Dir::State::status=/run/state/status",
        "-o",
        "Dir::State::lists=/run/state/lists",
        "-o",
        "Dir::Cache=/run/cache",
        "-o",
        "Debug::NoLocking=1",
    ];
    let fence = Sandbox::new(&ask.tools).bind(state, "/run/state");
    for verb in [&["check"][..], &["-s", "-y", "install"]] {
        let argv = [&["/usr/bin/apt-get", "-q"], &options[..], verb].concat();
        let output = fence.run(&argv, "/")?;
        let text = output.text();
        let done = verb[0] == "check" || text.contains("0 upgraded, 0 newly installed, 0 to remove");
        if !output.status.success() || !done {
            words.push(format!("apt-get {verb:?}: {}\n{text}", output.status));
        }
    }
    Ok(words)
}

#[derive(Serialize, Deserialize)]
struct Reference {
    packages: Vec<(LockedPackage, PathBuf)>,
    tools: PathBuf,
    work: PathBuf,
}

/// The way of Debian's own bootstrapping: the Essential closure is extracted by tar so that dpkg can run, then dpkg
/// unpacks and configures it again, then everything else. What our build settles beforehand is settled here too.
fn reference(job: &Reference) -> Result<()> {
    let root = job.work.join("root");
    let failed = |e| Error::io("cannot make the reference tree", &root, e);
    fs::create_dir_all(&root).map_err(failed)?;
    let debs = job.packages.iter().map(|(_, path)| Deb::open(path)).collect::<Result<Vec<_>>>()?;
    let order = order::order(&debs.iter().map(|d| &d.control).collect::<Vec<_>>());
    for &i in &order.all[..order.essential] {
        let tool = |name: &str| {
            let mut command = Command::new(job.tools.join("usr/lib64/ld-linux-x86-64.so.2"));
            command.arg("--library-path").arg(job.tools.join("usr/lib/x86_64-linux-gnu"));
            command.arg(job.tools.join("usr/bin").join(name));
            command
        };
        let mut from = tool("dpkg-deb")
            .arg("--fsys-tarfile")
            .arg(&job.packages[i].1)
            .stdout(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let pipe = from.stdout.take().expect("piped");
        let ended = tool("tar")
            .args(["-xp", "--keep-directory-symlink", "-C"])
            .arg(&root)
            .stdin(pipe)
            .status()
            .map_err(failed)?;
        assert!(ended.success() && from.wait().is_ok_and(|s| s.success()), "tar of {}", job.packages[i].0.name);
    }
    fs::write(root.join("var/lib/dpkg/status"), "").map_err(failed)?;
    let pool = job.work.join("pool");
    fs::create_dir_all(&pool).map_err(failed)?;
    for (i, (_, path)) in job.packages.iter().enumerate() {
        fs::copy(path, pool.join(format!("{i}.deb"))).map_err(failed)?;
    }
    let fence = || {
        let fence = Sandbox::new(&root)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .env("DEBCONF_NONINTERACTIVE_SEEN", "true")
            .env("TZ", "UTC")
            .env("SOURCE_DATE_EPOCH", EPOCH.to_string());
        fence.bind(&pool, "/run/pool").bind(job.work.join("policy"), "/usr/sbin/policy-rc.d")
    };
    fs::write(job.work.join("policy"), "#!/bin/sh\nexit 101\n").map_err(failed)?;
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(job.work.join("policy"), fs::Permissions::from_mode(0o755)).map_err(failed)?;
    let dpkg = |verb: &[&str], positions: &[usize]| -> Result<()> {
        let mut argv: Vec<String> =
            ["/usr/bin/dpkg", "--force-unsafe-io"].iter().chain(verb).map(|s| (*s).to_owned()).collect();
        argv.extend(positions.iter().map(|i| format!("/run/pool/{i}.deb")));
        let output = fence().run(&argv, "/")?;
        match output.status.success() {
            true => Ok(()),
            false => Err(Error::bug(format!("dpkg {verb:?} of the reference failed")).detail(output.tail(30))),
        }
    };
    // base-passwd's preinst wants to find nothing; with a shell there it does its work itself.
    dpkg(&["--force-depends", "--install"], &order.all[..order.essential])?;
    let settle = |path: &str, text: &str, mode: u32| {
        let path = root.join(path);
        let _ = fs::create_dir_all(path.parent().expect("below the root"));
        fs::write(&path, text)
            .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(mode)))
            .map_err(failed)
    };
    settle("etc/machine-id", "uninitialized\n", 0o444)?;
    for kind in ["rsa", "ecdsa", "ed25519"] {
        settle(&format!("etc/ssh/ssh_host_{kind}_key"), "", 0o600)?;
    }
    // Our own package, as dpkg sees it.
    let status = fs::read_to_string(root.join("var/lib/dpkg/status")).map_err(failed)?;
    settle("var/lib/dpkg/status", &format!("{status}\n{}", diorite_rootfs::database::INITRD_ENTRY), 0o644)?;
    settle("var/lib/dpkg/info/diorite-initrd.list", "/.\n", 0o644)?;
    settle("var/lib/dpkg/info/diorite-initrd.md5sums", "", 0o644)?;
    dpkg(&["--force-depends", "--unpack"], &order.all[order.essential..])?;
    dpkg(&["--configure", "-a"], &[])?;
    let mut tree = read_directory(&root, &Times::at_most(EPOCH as i64))?;
    // What `stabilize` says of the last change of passwords is what a right clock says.
    let shadow = String::from_utf8_lossy(tree.read("etc/shadow").unwrap_or_default()).into_owned();
    let day = (EPOCH / 86_400).to_string();
    assert!(shadow.lines().all(|l| l.split(':').nth(2) == Some(&day)), "not the day of SOURCE_DATE_EPOCH:\n{shadow}");
    accounts::stabilize(&mut tree, EPOCH)?;
    pack::write(&tree, &Origins::default(), &job.work.join("pack"))
}

fn compare(ours: &Tree, theirs: &Tree) {
    let allowed =
        |path: &str| ALLOWED.iter().any(|(name, _)| path == *name || (name.ends_with('/') && path.starts_with(name)));
    let mut wrong = Vec::new();
    let paths: std::collections::BTreeSet<_> = ours.nodes.keys().chain(theirs.nodes.keys()).collect();
    for path in paths {
        let name = String::from_utf8_lossy(path);
        if allowed(&name) {
            continue;
        }
        let (a, b) = (ours.get(path).map(shown), theirs.get(path).map(shown));
        if a != b {
            wrong.push(format!("{name}\n  ours   {}\n  dpkg's {}", a.unwrap_or_default(), b.unwrap_or_default()));
        }
    }
    assert!(wrong.is_empty(), "{} paths differ:\n{}", wrong.len(), wrong[..wrong.len().min(60)].join("\n"));
    let lines = |tree: &Tree, path: &str| {
        let mut lines: Vec<_> =
            tree.read(path).unwrap_or_default().split(|&b| b == b'\n').map(<[u8]>::to_vec).collect();
        lines.sort();
        lines
    };
    for path in ["var/lib/dpkg/triggers/File", "var/cache/debconf/config.dat", "var/cache/debconf/templates.dat"] {
        assert!(lines(ours, path) == lines(theirs, path), "{path} has other lines");
    }
}

/// Two trees of the same packages, the second with an epoch that is still to come: nothing differs but the epoch.
fn before_the_epoch(usual: &Tree, later: &Tree) {
    let (epoch, not_yet) = (EPOCH as i64, NOT_YET as i64);
    let mut wrong = Vec::new();
    assert_eq!(usual.nodes.keys().collect::<Vec<_>>(), later.nodes.keys().collect::<Vec<_>>());
    for (path, one) in &usual.nodes {
        let (name, mut two) = (String::from_utf8_lossy(path), later.nodes[path].clone());
        if name == "etc/shadow" {
            let text = String::from_utf8_lossy(later.read(path).unwrap_or_default()).into_owned();
            let text = text.replace(&format!(":{}:", NOT_YET / 86_400), &format!(":{}:", EPOCH / 86_400));
            two.kind = Node::file(0, text).kind;
        }
        if shown(one) != shown(&two) {
            wrong.push(format!("{name}\n  {}\n  {}", shown(one), shown(&two)));
        }
        // A package may be younger than the one epoch and is older than the other; what scripts write is as old as either.
        let fine = if two.mtime == not_yet { one.mtime == epoch } else { one.mtime == two.mtime.min(epoch) };
        if !fine {
            wrong.push(format!("{name}: of {}, not {}", two.mtime, one.mtime));
        }
    }
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong[..wrong.len().min(60)].join("\n"));
}

/// Everything but the time: dpkg leaves a directory's at the moment of unpacking, and clamping is ours.
fn shown(node: &Node) -> String {
    let Node { mode, uid, gid, xattrs, kind, .. } = node;
    let kind = match kind {
        NodeKind::File(content) => format!("file {} {}", content.len(), content.digest()),
        NodeKind::Symlink(to) => format!("link to {}", String::from_utf8_lossy(to)),
        other => format!("{other:?}"),
    };
    format!("{mode:o} {uid}:{gid} {kind} {xattrs:?}")
}
