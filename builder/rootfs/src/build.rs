//! Locked packages → configured trees, each a pack in the store: unpack, preinst, configure, scan.
//!
//! Runs in a process that owns all ids of a Debian tree (`sandbox::run_inside`). The steps and why they are in this
//! order: accounts exist before the first owner is looked up; the Essential closure is laid down before the first script
//! can run; a package with a preinst is laid down strictly after it; one `dpkg --configure -a` does the rest.

use crate::clock::BuildStart;
use crate::database::{self, ADMIN};
use crate::deb::Deb;
use crate::extract::Root;
use crate::layout::{Layout, Rules};
use crate::origins::Origins;
use crate::read_directory::read_directory;
use crate::scripts::ScriptEnvironment;
use crate::staging::{self, StagedPackage, Staging};
use crate::{accounts, debconf, helpers, pack};
use diorite_host::interrupt;
use diorite_host::progress::{BarUnit, Progress};
use diorite_model::recipe::FileFilter;
use diorite_model::{Error, Exit, LockedPackage, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

/// What `configured` is to do: the trees of one machine.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TreeJob {
    /// What each tree is made of. A package that several have is decompressed once.
    pub trees: Vec<TreeParts>,
    /// No file is younger than this, in seconds since 1970.
    pub epoch: u64,
    /// An empty directory to work in, on a file system with extended attributes. What is left in it is of no use.
    pub work: PathBuf,
}

/// What one tree is made of and where it goes.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TreeParts {
    /// The container whose root it is, as progress names it; none for the machine's.
    pub container: Option<String>,
    /// Packages and their files.
    pub packages: Vec<(LockedPackage, PathBuf)>,
    /// Locales to compile, `de_AT.UTF-8`; the package `locales` must be among the packages then.
    pub locales: Vec<String>,
    /// Answers to debconf's questions, by template.
    pub debconf: BTreeMap<String, String>,
    /// Which files of the packages are unpacked.
    pub files: FileFilter,
    /// Directory of the pack.
    pub result: PathBuf,
}

/// What making trees took, in seconds.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TreeTimes {
    /// From the first package to the last pack.
    pub whole: f64,
    /// Each tree. Unpacking, which is done for all at once, is the first's; trees overlap, so the sum can exceed the whole.
    pub trees: Vec<f64>,
}

/// Makes the configured trees of sets of packages, as many at once as there are threads, and leaves each as a pack. Of those
/// that fail, the first one's error is returned; the others are made all the same.
pub fn configured(job: &TreeJob, progress: &Progress) -> Result<TreeTimes> {
    let (start, begun) = (BuildStart::now(), Instant::now());
    let epoch = i64::try_from(job.epoch).map_err(|_| Error::input("the epoch is too large"))?;
    let staging = Staging { latest: epoch, privileged: true };
    let sets: Vec<_> = job.trees.iter().map(|tree| tree.packages.as_slice()).collect();
    let staged = staging::stage(&sets, &job.work.join("staging"), staging, progress)?;
    let unpacked = begun.elapsed().as_secs_f64();
    let one = |at: usize| -> Result<f64> {
        let (tree, staged, begun) = (&job.trees[at], &staged[at], Instant::now());
        let (place, origins) = configure(tree, staged, &job.work.join(at.to_string()), job.epoch, progress)?;
        interrupt::check()?;
        let stage = progress.stage(tree.named("read the tree"));
        let brought = staged.iter().flat_map(|s| s.files.iter().map(|file| file.member.mtime));
        let mut read = read_directory(&place, &start.times(epoch, brought))?;
        accounts::stabilize(&mut read, job.epoch)?;
        pack::write(&read, &origins, &tree.result)?;
        stage.done(format!("{} files", read.nodes.len()));
        Ok(begun.elapsed().as_secs_f64())
    };
    let mut trees = Vec::new();
    for made in side_by_side(job.trees.len(), &one) {
        trees.push(made?);
    }
    if let Some(first) = trees.first_mut() {
        *first += unpacked;
    }
    Ok(TreeTimes { whole: begun.elapsed().as_secs_f64(), trees })
}

/// What `one` returns for 0 to `count` - 1, in this order; begun in this order too, by as many threads as compute. They are
/// not those of the pool: they mostly wait for Debian's scripts, which use one processor.
fn side_by_side<T: Send>(count: usize, one: &(impl Fn(usize) -> T + Sync)) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let work = || -> Vec<(usize, T)> {
        let ours = std::iter::from_fn(|| Some(next.fetch_add(1, Relaxed)).filter(|at| *at < count));
        ours.map(|at| (at, one(at))).collect()
    };
    let mut done = std::thread::scope(|scope| {
        let threads = rayon::current_num_threads().clamp(1, count.max(1));
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut done = work();
        for other in others {
            done.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        done
    });
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

impl TreeParts {
    /// A stage of its making.
    fn named(&self, stage: &str) -> String {
        match &self.container {
            Some(name) => format!("{stage} (container {name})"),
            None => stage.to_owned(),
        }
    }
}

/// Staged packages → a configured tree at the path it returns, below `work`, and where its files come from.
fn configure(
    tree: &TreeParts,
    staged: &[StagedPackage],
    work: &Path,
    epoch: u64,
    progress: &Progress,
) -> Result<(PathBuf, Origins)> {
    let place = work.join("root");
    fs::create_dir_all(&place)
        .and_then(|()| fs::set_permissions(&place, fs::Permissions::from_mode(0o755)))
        .map_err(|e| Error::io("cannot make the tree's directory", &place, e))?;
    let initrd = database::needs_initrd(staged);
    let answers = debconf::Answers::to(&tree.debconf, staged)?;

    let stage = progress.stage(tree.named("preinst scripts"));
    let dpkg = staged.iter().find(|s| s.deb.name() == "dpkg").map(|s| s.deb.version().to_owned()).unwrap_or_default();
    let environment = ScriptEnvironment { root: &place, epoch, dpkg: &dpkg };
    let mut layout = Layout::new(&place, Rules { own_ids: false }, tree.files.clone())?;
    reclassify_enospc(lay_down(&mut layout, staged, &environment, initrd), work)?;
    let origins = layout.origins(staged);
    stage.done("");

    let stage = progress.stage(tree.named("configure"));
    before_configure(&mut layout.root, staged)?;
    locales(&mut layout.root, &tree.locales)?;
    answers.set(&mut layout.root, &environment)?;
    // Nothing is started while building: invoke-rc.d(8) asks this program, which exists only meanwhile.
    let policy = work.join("policy-rc.d");
    diorite_host::file::write_scratch(&policy, "#!/bin/sh\nexit 101\n")
        .and_then(|()| fs::set_permissions(&policy, fs::Permissions::from_mode(0o755)))
        .map_err(|e| Error::io("cannot write", &policy, e))?;
    let mut binds = helpers::binds(&place)?;
    binds.push((policy, "/usr/sbin/policy-rc.d".to_owned()));
    let bar = stage.bar(staged.len() as u64, BarUnit::Items);
    reclassify_enospc(environment.configure(&mut layout.root, &binds, &bar), work)?;
    bar.finish();
    answers.verify(&mut layout.root)?;
    clean(&mut layout.root)?;
    stage.done(format!("{} packages", staged.len()));
    Ok((place, origins))
}

/// With less than this left after Debian's scripts ran, in bytes, they may have met a full file system: what they write
/// at once (debconf's templates, the linker's cache) is smaller. The pack that is written next needs far more.
const ROOM: u64 = 16 << 20;

/// On a full file system the scripts' own outcome does not count: some fail with another message, which is not the
/// package's fault, and some ignore the error and leave half a file.
fn reclassify_enospc<T>(outcome: Result<T>, work: &Path) -> Result<T> {
    let left = rustix::fs::statvfs(work).map_or(u64::MAX, |s| s.f_bavail.saturating_mul(s.f_frsize));
    let full = |words: &str| words.contains("No space left on device") || words.contains("Disk quota exceeded");
    let words = match &outcome {
        Ok(_) => None,
        Err(e) if e.exit == Exit::Input => e.detail.clone(),
        // It has its own reason already.
        Err(_) => return outcome,
    };
    if left >= ROOM && !words.as_deref().is_some_and(full) {
        return outcome;
    }
    let error = Error::host("the packages' scripts ran out of disk space")
        .at(work.display().to_string())
        .because(format!("{} MB are left on its file system", left / 1_000_000))
        .hint("free some space there, or name another directory with DIORITE_STORE");
    Err(match words {
        Some(words) => error.detail(words),
        None => error,
    })
}

/// All packages in the canonical order, preinsts between them.
fn lay_down(
    layout: &mut Layout,
    staged: &[StagedPackage],
    environment: &ScriptEnvironment,
    initrd: bool,
) -> Result<()> {
    let order = staging::order_of(staged);
    let (essential, rest) = order.all.split_at(order.essential);
    first_accounts(layout, staged)?;
    for &i in essential {
        layout.lay_down(i, staged)?;
    }
    database::create(&mut layout.root)?;
    let mut lists = BTreeMap::new();
    let filter = layout.filter();
    for (at, &i) in order.all.iter().enumerate() {
        if staged[i].deb.members.contains_key("preinst") {
            interrupt::check()?;
            let before = order.all[..at].iter().map(|&j| &staged[j]);
            database::write_status(&mut layout.root, before, Some(&staged[i]), initrd)?;
            environment.preinst(&mut layout.root, &staged[i])?;
            layout.forget();
            read_rules(layout)?;
        }
        if at >= essential.len() {
            layout.lay_down(i, staged)?;
        }
        database::write_info(&mut layout.root, &staged[i], &layout.lists[&i], &filter)?;
        lists.insert(i, layout.lists[&i].len());
    }
    debug_assert_eq!(lists.len(), essential.len() + rest.len());
    for (&i, &written) in &lists {
        if layout.lists[&i].len() != written {
            database::write_list(&mut layout.root, &staged[i], &layout.lists[&i])?;
        }
    }
    database::write_triggers(&mut layout.root, order.all.iter().map(|&i| &staged[i]))?;
    if initrd {
        database::write_initrd(&mut layout.root)?;
    }
    database::write_status(&mut layout.root, staged, None, initrd)
}

/// What a script may have changed: accounts, diversions, overrides.
fn read_rules(layout: &mut Layout) -> Result<()> {
    layout.users = database::ids(&mut layout.root, "etc/passwd")?;
    layout.groups = database::ids(&mut layout.root, "etc/group")?;
    layout.diversions = database::diversions(&mut layout.root)?;
    layout.overrides = database::overrides(&mut layout.root, &layout.users, &layout.groups)?;
    Ok(())
}

/// The first passwd and group, which base-passwd's preinst would write if there were a shell to run it: the two
/// here-documents in that script.
fn first_accounts(layout: &mut Layout, staged: &[StagedPackage]) -> Result<()> {
    let Some(base) = staged.iter().find(|s| s.deb.name() == "base-passwd") else { return Ok(()) };
    layout.root.directories(b"etc")?;
    for name in ["passwd", "group"] {
        let text = here_document(&base.deb, name).ok_or_else(|| {
            Error::input("package `base-passwd` is not as expected")
                .at(base.deb.path.display().to_string())
                .because(format!("its preinst has no /etc/{name} in it"))
        })?;
        layout.root.write(format!("etc/{name}").as_bytes(), text.as_bytes(), 0o644)?;
    }
    read_rules(layout)
}

fn here_document(deb: &Deb, name: &str) -> Option<String> {
    let script = deb.text("preinst");
    let (_, rest) = script.split_once(&format!("/etc/{name}\" <<'EOF'\n"))?;
    rest.split_once("\nEOF\n").map(|(text, _)| format!("{text}\n"))
}

/// Puts in place what a script would otherwise make at random: host keys, the machine id.
fn before_configure(root: &mut Root, staged: &[StagedPackage]) -> Result<()> {
    if staged.iter().any(|s| s.deb.name() == "openssh-server") {
        // A host key that exists is not made; these are taken away again, and each machine makes its own.
        root.directories(b"etc/ssh")?;
        for kind in KEYS {
            root.write(format!("etc/ssh/ssh_host_{kind}_key").as_bytes(), b"", 0o600)?;
        }
    }
    // machine-id(5): "uninitialized" is the first boot's to fill, and left alone by systemd-machine-id-setup.
    root.write(b"etc/machine-id", b"uninitialized\n", 0o444)
}

/// locale.gen(5), from which the package `locales` compiles when it is configured.
fn locales(root: &mut Root, wanted: &[String]) -> Result<()> {
    const SUPPORTED: &[u8] = b"usr/share/i18n/SUPPORTED";
    if wanted.is_empty() {
        return Ok(());
    }
    let supported = root.read(SUPPORTED)?.unwrap_or_default();
    let supported = String::from_utf8_lossy(&supported);
    // Lines `de_AT.UTF-8 UTF-8`; names of locales that were never anything but UTF-8 do not say so: `nds_DE UTF-8`.
    let known: Vec<&str> = supported.lines().filter_map(|l| l.trim().strip_suffix(" UTF-8")).collect();
    let mut text = String::new();
    for name in wanted {
        let short = name.replace(".UTF-8", "");
        let Some(known) = known.iter().find(|k| **k == name || **k == short) else {
            let language = name.split('_').next().unwrap_or(name);
            let near: Vec<String> = known
                .iter()
                .filter(|k| k.split('_').next() == Some(language))
                .map(|k| {
                    if k.contains(".UTF-8") { format!("`{k}`") } else { format!("`{}`", k.replacen('@', ".UTF-8@", 1)) }
                })
                .collect();
            let hint = match near.is_empty() {
                true => format!("Debian has none for the language `{language}`"),
                false => format!("for `{language}` there are: {}", near.join(", ")),
            };
            return Err(Error::input(format!("there is no locale `{name}`")).at("locale").hint(hint));
        };
        text += &format!("{known} UTF-8\n");
    }
    root.write(b"etc/locale.gen", text.as_bytes(), 0o644)
}

const KEYS: [&str; 3] = ["ecdsa", "ed25519", "rsa"];

/// Takes out what scripts leave behind for themselves and what differs from build to build.
pub(crate) fn clean(root: &mut Root) -> Result<()> {
    let mut gone: Vec<Vec<u8>> = Vec::new();
    let mut remove = |path: &str| gone.push(path.as_bytes().to_vec());
    for kind in KEYS {
        remove(&format!("etc/ssh/ssh_host_{kind}_key"));
    }
    let caches =
        ["var/cache/ldconfig/aux-cache", "var/lib/dbus/machine-id", "var/log/dpkg.log", "var/log/alternatives.log"];
    for path in caches.into_iter().chain(accounts::LEFTOVERS) {
        remove(path);
    }
    for name in ["status-old", "diversions-old", "statoverride-old", "available-old", "lock", "lock-frontend"] {
        remove(&format!("{ADMIN}/{name}"));
    }
    remove(&format!("{ADMIN}/triggers/Lock"));
    for path in gone {
        if let Ok(real) = root.real(&path)
            && root.kind(&real)?.is_some_and(|kind| kind != rustix::fs::FileType::Directory)
        {
            root.unlink(&real)?;
        }
    }
    Ok(())
}
