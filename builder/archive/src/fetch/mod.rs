//! Lock → Pool. The second and last time the network is used: only what the lock names is fetched, eight at a time,
//! into the store's pool. What arrives is hashed on the way, must have the lock's size and SHA-256, and must call
//! itself by the lock's name, version and architecture; only then does it get its name in the pool.

mod download;
mod part;
mod pool;
#[cfg(test)]
pub(crate) mod tests;
mod wheel;

pub use pool::Pool;

use crate::http::{Failure, MirrorClient};
use crate::images::registry::Tokens;
use crate::wheels::page::IndexFile;
use diorite_host::progress::{Bar, BarUnit, Progress, bytes};
use diorite_host::{interrupt, store::Store};
use diorite_model::{Digest, Error, Exit, Lock, LockedPackage, Result};
use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

pub(crate) use download::same_package;
pub(crate) use part::{Part, held};

/// Packages fetched at the same time. Mirrors allow about this many connections of one client.
const THREADS: usize = 8;

/// The packages the pool does not hold yet, each file once, in the given order.
pub fn missing<'a>(packages: &[&'a LockedPackage], store: &Store) -> Vec<&'a LockedPackage> {
    let mut seen = BTreeSet::new();
    packages.iter().copied().filter(|p| seen.insert(p.sha256) && !held(store, p)).collect()
}

/// Brings these packages of the lock into the pool. `archive` is asked for only when something is missing, so that a
/// full pool needs neither mirror nor network. All steps can be repeated: what has arrived is kept and continued.
///
/// Errors: [`Exit::LockOutdated`] for packages that have gone from every mirror (all of them are named), and for a
/// local package that changed; `Remote` for mirrors that cannot be reached or serve other bytes; `Host` for a store
/// that cannot be written or is full; `Interrupted`. After `Remote` and `Interrupted` the client is shut down.
pub fn fetch<A: Borrow<MirrorClient>>(
    packages: &[&LockedPackage],
    lock: &Lock,
    archive: impl FnOnce() -> Result<A>,
    store: &Store,
    progress: &Progress,
) -> Result<Pool> {
    let mut missing = missing(packages, store);
    if missing.is_empty() {
        return Ok(Pool::new(store));
    }
    let locked: BTreeSet<_> = lock.packages().into_iter().map(|p| (&p.sha256, &p.path)).collect();
    if let Some(stranger) = missing.iter().find(|p| !locked.contains(&(&p.sha256, &p.path))) {
        return Err(Error::bug(format!("package `{}` was requested, but the lock does not name it", stranger.name)));
    }
    let archive = archive()?;
    let begun: BTreeMap<_, _> = missing.iter().map(|p| (p.sha256, begun(store, p))).collect();
    let total = missing.iter().map(|p| p.size - begun[&p.sha256]).sum();
    enough_space(store, total)?;
    // The largest first: a large one that begins last would run alone at the end.
    missing.sort_by_key(|p| std::cmp::Reverse(p.size));
    let stage = progress.stage("fetch");
    let bar = stage.bar(total, BarUnit::Bytes);
    let start = Instant::now();
    let run = Run {
        lock,
        archive: archive.borrow(),
        store,
        bar: &bar,
        arrived: Mutex::new(begun),
        dead: Mutex::default(),
        tokens: Tokens::default(),
        pages: Mutex::default(),
        stop: AtomicBool::new(false),
    };
    run.all(&missing)?;
    bar.finish();
    let rate = (total as f64 / start.elapsed().as_secs_f64().max(0.001)) as u64;
    stage.done(format!("{} packages, {}, {}/s", missing.len(), bytes(total), bytes(rate)));
    Ok(Pool::new(store))
}

/// Bytes of a package that an earlier process left.
fn begun(store: &Store, package: &LockedPackage) -> u64 {
    let len = std::fs::metadata(part::path(store, &package.sha256)).map_or(0, |m| m.len());
    if len > package.size { 0 } else { len }
}

/// Says before the first byte that the rest will not fit.
fn enough_space(store: &Store, needed: u64) -> Result<()> {
    match rustix::fs::statvfs(store.root()) {
        Ok(fs) => fits(store.root(), needed, fs.f_bavail.saturating_mul(fs.f_frsize)),
        // Some file systems do not say; then the writing will.
        Err(_) => Ok(()),
    }
}

fn fits(root: &std::path::Path, needed: u64, free: u64) -> Result<()> {
    if needed <= free {
        return Ok(());
    }
    Err(Error::host(format!("not enough space in the store for {} of packages", bytes(needed)))
        .at(root.display().to_string())
        .because(format!("{} are free on its file system", bytes(free)))
        .hint("free some space there, or name another directory with DIORITE_STORE"))
}

/// Why a package did not arrive.
pub(crate) enum FetchError {
    /// Every place says that it has no such file.
    Gone,
    /// One place failed.
    Failed(Failure),
    /// It cannot arrive.
    Final(Error),
}

impl From<Error> for FetchError {
    fn from(error: Error) -> Self {
        Self::Final(error)
    }
}

/// What the threads share.
struct Run<'a> {
    lock: &'a Lock,
    archive: &'a MirrorClient,
    store: &'a Store,
    bar: &'a Bar,
    /// Bytes of each package that the bar has counted.
    arrived: Mutex<BTreeMap<Digest, u64>>,
    /// Roots of mirrors that failed.
    dead: Mutex<BTreeSet<String>>,
    /// What registries wanted.
    tokens: Tokens,
    /// Pages of the index of wheels that were read, by name.
    pages: Mutex<BTreeMap<String, Arc<[IndexFile]>>>,
    stop: AtomicBool,
}

impl Run<'_> {
    fn all(&self, packages: &[&LockedPackage]) -> Result<()> {
        let queue = Mutex::new(packages.iter().copied());
        let (send, results) = mpsc::channel();
        let (mut gone, mut error) = (Vec::new(), None);
        std::thread::scope(|scope| {
            for _ in 0..THREADS.min(packages.len()) {
                let (send, queue) = (send.clone(), &queue);
                scope.spawn(move || {
                    while !self.stop.load(Ordering::Relaxed) {
                        let Some(package) = lock(queue).next() else { return };
                        self.bar.set_message(&package.name);
                        if send.send((package, self.package(package))).is_err() {
                            return;
                        }
                    }
                });
            }
            drop(send);
            // This thread only listens: a signal must be heard while every other one waits for a server.
            loop {
                let trouble = match results.recv_timeout(Duration::from_millis(50)) {
                    Ok((_, Ok(()))) => continue,
                    Ok((package, Err(FetchError::Gone))) => {
                        gone.push(package);
                        continue;
                    }
                    Ok((package, Err(FetchError::Failed(failure)))) => {
                        failure.into_error(format!("package `{}` {} cannot be fetched", package.name, package.version))
                    }
                    Ok((_, Err(FetchError::Final(error)))) => error,
                    Err(mpsc::RecvTimeoutError::Disconnected) => break,
                    Err(mpsc::RecvTimeoutError::Timeout) => match interrupt::check() {
                        Ok(()) => continue,
                        Err(interrupted) => interrupted,
                    },
                };
                self.stop.store(true, Ordering::Relaxed);
                self.archive.http.shutdown();
                error.get_or_insert(trouble);
            }
        });
        match (error, gone.is_empty()) {
            (Some(error), _) => Err(error),
            (None, true) => Ok(()),
            (None, false) => Err(self.gone(gone)),
        }
    }

    /// `Err` when the threads are to end.
    fn check(&self) -> Result<()> {
        interrupt::check()?;
        match self.stop.load(Ordering::Relaxed) {
            true => Err(Error::new(Exit::Interrupted, "another package failed")),
            false => Ok(()),
        }
    }

    /// Tells the bar; bytes that arrive a second time are not counted again.
    fn arrived(&self, package: &LockedPackage, len: u64) {
        let mut arrived = lock(&self.arrived);
        let counted = arrived.entry(package.sha256).or_default();
        if len > *counted {
            self.bar.inc(len - *counted);
            *counted = len;
        }
    }

    fn is_dead(&self, root: &str) -> bool {
        lock(&self.dead).contains(root)
    }

    fn died(&self, root: &str) {
        lock(&self.dead).insert(root.to_owned());
    }

    fn gone(&self, mut packages: Vec<&LockedPackage>) -> Error {
        packages.sort();
        let what = match packages.as_slice() {
            [one] if self.archive.sources.is_extra(one) => {
                format!("package `{}` {} has gone from its repository, `{}`", one.name, one.version, one.release)
            }
            [one] => format!("package `{}` {} has gone from every mirror", one.name, one.version),
            all => format!("{} packages of the lock have gone from every mirror", all.len()),
        };
        let mut lines: Vec<_> =
            packages.iter().take(10).map(|p| format!("{} {} ({}: {})", p.name, p.version, p.release, p.path)).collect();
        if packages.len() > lines.len() {
            lines.push(format!("and {} more", packages.len() - lines.len()));
        }
        let (cause, hint) = match self.archive.sources.snapshot {
            _ if packages.iter().all(|p| self.archive.sources.is_extra(p)) => (
                "a repository may keep only its newest versions, and no archive of old packages has those of others than Debian",
                "",
            ),
            Some(_) => ("a mirror keeps only the newest version, and the snapshot archive does not have it either", ""),
            None => (
                "a mirror keeps only the newest version",
                ", or name an archive of old packages (DIORITE_SNAPSHOT, a URL with {timestamp})",
            ),
        };
        Error::new(Exit::LockOutdated, what).detail(lines.join("\n")).because(cause).hint(format!(
            "lock again with `diorite lock NAME --update`{hint}, or import a vault that has it (`diorite vault import FILE`)"
        ))
    }
}

/// A thread that panicked leaves nothing half-done under these locks.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
