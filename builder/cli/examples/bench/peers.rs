//! The peers, made by Diorite's own rooms: a configured Debian tree with mmdebstrap and mkosi in it, and a repository of
//! the very .debs that our image is made of.

use crate::process::{self, Run};
use crate::repository;
use crate::room::Room;
use diorite_archive::http::{MirrorClient, Options};
use diorite_archive::sources::SourceConfig;
use diorite_archive::{fetch, lockfile, resolve};
use diorite_host::progress::Progress;
use diorite_host::sandbox;
use diorite_host::store::Store;
use diorite_model::profile;
use diorite_model::{Digest, Error, Lock, LockedPackage, Recipe, Result};
use diorite_rootfs::build::{self, TreeJob, TreeParts};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// What the peers are and need on their host.
const HOST: &[&str] = &[
    "apt",
    "bubblewrap",
    "ca-certificates",
    "cpio",
    "cryptsetup-bin",
    "debian-archive-keyring",
    "dosfstools",
    "e2fsprogs",
    "erofs-utils",
    "kmod",
    "mkosi",
    "mmdebstrap",
    "mount",
    "mtools",
    "python3",
    "systemd",
    "systemd-boot-efi",
    "systemd-repart",
    "systemd-ukify",
    "tar",
    "udev",
    "util-linux",
    "xz-utils",
    "zstd",
];

/// What the peers install besides the packages of our image: mkosi builds its initrd as a second Debian image (the list is
/// in its resources/mkosi-initrd), and a kernel that mmdebstrap installs brings initramfs-tools.
const BESIDES: &[&str] = &[
    "bash",
    "btrfs-progs",
    "dmsetup",
    "dosfstools",
    "e2fsprogs",
    "erofs-utils",
    "initramfs-tools",
    "kmod",
    "less",
    "libcryptsetup12",
    "libfido2-1",
    "libtss2-esys-3.0.2-0t64",
    "libtss2-mu-4.0.1-0t64",
    "libtss2-rc0t64",
    "libtss2-tcti-device0t64",
    "lvm2",
    "p11-kit",
    "systemd",
    "systemd-cryptsetup",
    "systemd-repart",
    "udev",
    "util-linux",
];

/// The job that builds the tree, run in a child that owns every id; what it leaves in its work directory is the tree.
pub fn tree(job: TreeJob, progress: &Progress) -> Result<()> {
    build::configured(&job, progress).map(drop)
}

/// The peers, ready to run.
#[derive(Debug)]
pub struct Peers {
    /// Where they run.
    pub room: Room,
    /// Names and versions of the programs.
    pub versions: Vec<String>,
    /// Where they work: `tmpfs`, or `disk` when there is too little memory.
    pub on: &'static str,
}

/// Locks, fetches and configures the peers' tree, and writes the repository. `image` is our own lock.
pub fn prepare(store: &Store, directory: &Path, image: &Lock, recipe: &Recipe, progress: &Progress) -> Result<Peers> {
    let mut wanted =
        profile::parse(&base()?, "profiles/base.toml", &mut |_| Err(Error::bug("base extends nothing")))?.0;
    wanted.packages.include = HOST.iter().map(|&n| n.to_owned()).collect();
    let mirrors = || MirrorClient::of_machine(&SourceConfig::default(), Options::default());
    let transport = mirrors()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.as_secs());
    let inputs =
        resolve::Inputs { tools: BESIDES, directory: Path::new("."), transport: &transport, now, previous: None };
    let lock = resolve::lock(&wanted, &inputs, progress)?;
    let pool = fetch::fetch(&lock.packages(), &lock, mirrors, store, progress)?;
    lockfile::write(&lock, &directory.join("peers.lock"))?;

    let key = Digest::of_json(&lock.image.iter().map(|p| p.sha256).collect::<Vec<_>>()).short(16);
    let work = directory.join(format!("peers-tree-{key}"));
    if !work.join("ready").exists() {
        let _ = fs::remove_dir_all(&work);
        let packages = lock.image.iter().map(|p| (p.clone(), pool.path(p))).collect();
        let result = work.join("pack");
        fs::create_dir_all(&result).map_err(|e| Error::io("cannot be made", &result, e))?;
        let trees = vec![TreeParts { packages, result, ..Default::default() }];
        let job = TreeJob { trees, epoch: recipe.image.epoch, work: work.clone() };
        sandbox::run_inside::<()>("peers", &job, progress)?;
        fs::write(work.join("ready"), "").map_err(|e| Error::io("cannot be written", &work, e))?;
    }
    let archive = directory.join("repository");
    let results = directory.join("results");
    fs::create_dir_all(&results).map_err(|e| Error::io("cannot be made", &results, e))?;
    let roomy = available() > 8 << 30;
    let place = (!roomy).then(|| directory.join("work"));
    if let Some(place) = &place {
        fs::create_dir_all(place).map_err(|e| Error::io("cannot be made", place, e))?;
    }
    let room = Room { tree: work.join("0/root"), repository: archive.clone(), work: place, results };
    let mut packages: Vec<&LockedPackage> = image.image.iter().chain(&lock.tools).collect();
    packages.sort();
    packages.dedup_by_key(|p| p.sha256);
    repository::write(&archive, &packages, &pool_of(store), &room)?;
    let versions = ["mmdebstrap", "mkosi", "apt", "systemd-repart", "systemd-ukify", "erofs-utils"];
    let versions = lock.image.iter().filter(|p| versions.contains(&&*p.name));
    let versions = versions.map(|p| format!("{} {}", p.name, p.version)).collect();
    Ok(Peers { room, versions, on: if roomy { "tmpfs" } else { "disk" } })
}

fn base() -> Result<String> {
    let file = "profiles/base.toml";
    fs::read_to_string(file).map_err(|e| Error::io("the profile cannot be read", file, e))
}

fn pool_of(store: &Store) -> impl Fn(&LockedPackage) -> PathBuf + '_ {
    |package| store.blob(&package.sha256)
}

/// Bytes of memory that may be used.
fn available() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|l| l.strip_prefix("MemAvailable:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) * 1024
}

/// Rows of the table.
pub const MMDEBSTRAP: &str = "mmdebstrap";
pub const NO_INITRAMFS: &str = "mmdebstrap \u{2212} initramfs";
pub const MKOSI: &str = "mkosi";

impl Peers {
    /// The bare root tar of the same packages: with initramfs-tools, as the kernel asks for it, or with an empty package
    /// in its place.
    pub fn mmdebstrap(&self, what: &str, lock: &Lock) -> Result<Run> {
        let initramfs = if what == NO_INITRAMFS { "no-initramfs" } else { "initramfs-tools" };
        let names: Vec<&str> = lock.image.iter().map(|p| &*p.name).collect();
        let script = format!(
            "mmdebstrap --mode=root --variant=essential --format=tar --include={initramfs},{} trixie /work/root.tar \
             'deb [trusted=yes] copy:/archive trixie main' && stat -c '%s %n' /work/root.tar >&2",
            names.join(",")
        );
        self.run(what, &script)
    }

    /// A disk with ESP, UKI, EROFS root and its hash tree, of the same packages.
    pub fn mkosi(&self, lock: &Lock) -> Result<Run> {
        let directory = self.room.results.join("mkosi");
        let failed = |e| Error::io("mkosi's configuration cannot be written", &directory, e);
        fs::create_dir_all(directory.join("mkosi.repart")).map_err(failed)?;
        let packages: Vec<String> = lock.image.iter().map(|p| format!("        {}\n", p.name)).collect();
        fs::write(directory.join("mkosi.conf"), format!("{MKOSI_CONF}{}", packages.concat())).map_err(failed)?;
        for (name, text) in REPART {
            fs::write(directory.join("mkosi.repart").join(name), text).map_err(failed)?;
        }
        self.run(
            MKOSI,
            "mkdir -p /work/out /work/space /work/cache && cd /results/mkosi && mkosi --force build >&2 && \
             stat -c '%s %n' /work/out/* >&2",
        )
    }

    fn run(&self, what: &str, script: &str) -> Result<Run> {
        let failed =
            |e: &dyn std::fmt::Display| Error::host(format!("{what} could not be measured")).detail(e.to_string());
        if let Some(work) = &self.room.work {
            let _ = fs::remove_dir_all(work);
            fs::create_dir_all(work).map_err(|e| failed(&e))?;
        }
        let command = self.room.command(&["/usr/bin/sh", "-c", script]).map_err(|e| failed(&e))?;
        let mut run = process::measure(what, command).map_err(|e| failed(&e))?;
        // Every run's own words, to see what it did.
        let words: Vec<String> =
            run.lines.iter().map(|l| format!("{:8.2} {:8.2} {}\n", l.wall, l.cpu, l.text)).collect();
        let _ = fs::write(self.room.results.join(format!("{what}.log")), words.concat());
        // The raw data keep one line for each half second of CPU, and the sizes at the end.
        let (mut kept, last) = (f64::MIN, run.lines.len().saturating_sub(6));
        let mut i = 0;
        run.lines.retain(|line| {
            i += 1;
            let keep = line.cpu - kept >= 0.5 || i > last;
            if keep {
                kept = line.cpu;
            }
            keep
        });
        Ok(run)
    }
}

const MKOSI_CONF: &str = "\
[Distribution]
Distribution=debian
Release=trixie
LocalMirror=file:///archive
RepositoryKeyCheck=no

[Output]
ImageId=peer
ImageVersion=1
Format=disk
CompressOutput=no
RepartDirectories=mkosi.repart
Seed=6d1f2a52-2f43-4f6c-9df0-2d4f8a6f3b11
OutputDirectory=/work/out

[Build]
WorkspaceDirectory=/work/space
PackageCacheDirectory=/work/cache
WithNetwork=no

[Content]
Bootable=yes
Bootloader=systemd-boot
Hostname=peer
WithRecommends=no
KernelCommandLine=console=ttyS0
        systemd.volatile=overlay
SourceDateEpoch=1760000000
Packages=
        no-initramfs
";

const REPART: [(&str, &str); 3] = [
    (
        "00-esp.conf",
        "[Partition]\nType=esp\nFormat=vfat\nCopyFiles=/efi:/\nCopyFiles=/boot:/\nSizeMinBytes=256M\nSizeMaxBytes=256M\n",
    ),
    (
        "10-root.conf",
        "[Partition]\nType=root\nFormat=erofs\nCompression=zstd\nCopyFiles=/\nVerity=data\nVerityMatchKey=root\n\
         Minimize=best\n",
    ),
    ("11-root-verity.conf", "[Partition]\nType=root-verity\nVerity=hash\nVerityMatchKey=root\nMinimize=best\n"),
];
