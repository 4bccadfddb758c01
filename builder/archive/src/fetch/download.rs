//! One package: mirror after mirror, then the snapshot archive, into one unfinished file.

use super::part::Part;
use super::{FetchError, Run};
use crate::deb;
use crate::http::{Failure, FailureKind};
use crate::images::registry::{Registry, RegistryFile, web_page};
use crate::sources::PackageUrl;
use crate::url;
use diorite_host::interrupt;
use diorite_model::lock::PULLED;
use diorite_model::oci::Reference;
use diorite_model::{Error, Exit, LockedPackage, Result};
use std::io::Read;
use std::path::Path;

impl Run<'_> {
    /// Fetches one package into the pool.
    pub(super) fn package(&self, package: &LockedPackage) -> Result<(), FetchError> {
        let Some(mut part) = Part::open(self.store, package)? else { return Ok(()) };
        let from = match self.archive.sources.local(package)? {
            Some(path) => self.copy(&path, package, &mut part)?,
            None if package.release == PULLED => self.pull(package, &mut part)?,
            None if package.is_wheel() => self.wheel(package, &mut part)?,
            None => self.download(package, &mut part)?,
        };
        if !package.is_deb() {
            return Ok(part.keep(self.store)?);
        }
        match same_package(package, part.path(), &from) {
            Ok(()) => Ok(part.keep(self.store)?),
            Err(error) => {
                part.discard();
                Err(error.into())
            }
        }
    }

    /// From its registry, and from nowhere else; its URL.
    fn pull(&self, package: &LockedPackage, part: &mut Part<'_>) -> Result<String, FetchError> {
        let (registry, kind) = self.registry(package)?;
        let place = PackageUrl { root: registry.root(), url: registry.url(kind, &package.sha256) };
        let pulled = self.place(&place, package, part);
        if pulled.is_err() && part.len() == 0 {
            let _ = std::fs::remove_file(part.path());
        }
        match pulled {
            Ok(()) => Ok(place.url),
            Err(FetchError::Failed(failure)) if failure.kind != FailureKind::Interrupted => {
                let mut error = registry.refused(failure);
                let of_it = |files: &Vec<LockedPackage>| files.iter().any(|f| f.sha256 == package.sha256);
                if let Some((name, _)) = self.lock.container.iter().find(|(_, files)| of_it(files)) {
                    error.what = format!("the image of container `{name}` cannot be pulled");
                }
                Err(error.into())
            }
            Err(trouble) => Err(trouble),
        }
    }

    /// Where a file of an image is: `registry/name/KIND/sha256:…`.
    fn registry<'p>(&'p self, package: &'p LockedPackage) -> Result<(Registry<'p>, RegistryFile)> {
        let mut parts = package.path.rsplitn(3, '/').skip(1);
        let (kind, repository) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let kind = [RegistryFile::Manifest, RegistryFile::Blob].into_iter().find(|k| k.directory() == kind);
        let fine = Reference::parse(&format!("{repository}@sha256:{}", package.sha256)).is_ok();
        match kind.filter(|_| fine) {
            Some(kind) => Ok((Registry::new(&self.archive.http, &self.tokens, repository)?, kind)),
            None => Err(Error::new(Exit::LockOutdated, "the lock names no place in a registry")
                .at(&package.path)
                .hint("lock again: `diorite lock NAME --update`")),
        }
    }

    /// From the first place that has it; the place's URL.
    fn download(&self, package: &LockedPackage, part: &mut Part<'_>) -> Result<String, FetchError> {
        let mut failures = Vec::new();
        let mut places = self.archive.sources.places(package, self.lock)?;
        // A mirror that already failed for another package is asked last.
        places.sort_by_key(|place| self.is_dead(&place.root));
        for archived in [false, true] {
            if archived {
                if failures.iter().any(|f: &Failure| f.kind != FailureKind::Gone) {
                    break;
                }
                places = self.archive.sources.archived(package, self.lock)?;
            }
            for place in &places {
                match self.place(place, package, part) {
                    Ok(()) => return Ok(place.url.clone()),
                    Err(FetchError::Failed(failure)) if failure.kind != FailureKind::Interrupted => {
                        if failure.kind != FailureKind::Gone {
                            self.died(&place.root);
                        }
                        failures.push(failure);
                    }
                    Err(trouble) => return Err(trouble),
                }
            }
        }
        if part.len() == 0 {
            let _ = std::fs::remove_file(part.path());
        }
        Err(judge(package, &failures, self.archive.sources.is_extra(package)))
    }

    /// From one place, as long as each attempt gets a good deal further than the one before.
    pub(super) fn place(
        &self,
        place: &PackageUrl,
        package: &LockedPackage,
        part: &mut Part<'_>,
    ) -> Result<(), FetchError> {
        let http = &self.archive.http;
        let (mut idle, mut furthest, mut continued) = (0, part.len(), true);
        // A server that gives some bytes and hangs, again and again, must come to an end.
        let enough = (package.size / 100).clamp(1, 1 << 18);
        loop {
            match self.attempt(place, package, part) {
                Ok(()) if part.digest() == package.sha256 => return Ok(()),
                Ok(()) => {
                    let digest = part.digest();
                    let inherited = part.inherited;
                    part.clear()?;
                    // What an earlier process left may be at fault; once more from the beginning.
                    if !inherited {
                        let cause = format!("its SHA-256 is {digest}, the lock says {}", package.sha256);
                        return Err(Failure::new(FailureKind::Wrong, &place.url, cause).into());
                    }
                }
                Err(FetchError::Failed(failure)) if failure.kind == FailureKind::Range && continued => {
                    part.clear()?;
                    continued = false;
                }
                Err(FetchError::Failed(failure)) if failure.passing() => {
                    idle = if part.len() >= furthest + enough { 0 } else { idle + 1 };
                    furthest = furthest.max(part.len());
                    if idle >= http.options().attempts {
                        return Err(failure.into());
                    }
                    http.pause(idle.saturating_sub(1), &failure, &|| self.check())?;
                }
                Err(FetchError::Failed(failure)) if failure.kind == FailureKind::Gone && !there(&place.root) => {
                    let cause = "the mirror's directory is not there (a disk that is not mounted?)";
                    return Err(Failure::new(FailureKind::Refused, &place.root, cause).into());
                }
                Err(trouble) => return Err(trouble),
            }
        }
    }

    /// One request: continues the unfinished file until it has the size the lock names.
    fn attempt(&self, place: &PackageUrl, package: &LockedPackage, part: &mut Part<'_>) -> Result<(), FetchError> {
        let url = &place.url;
        if part.len() == package.size {
            return Ok(());
        }
        let mut reply = if package.release == PULLED {
            let (registry, kind) = self.registry(package)?;
            registry.open(kind, url, part.len())?
        } else if package.is_wheel() {
            self.open_wheel(url, package, part.len())?
        } else {
            self.archive.http.open(url, part.len())?
        };
        if reply.html {
            return Err(web_page(url).into());
        }
        if let Some(size) = reply.size.filter(|size| *size != package.size) {
            let cause = format!("the file there has {size} bytes, the lock says {}", package.size);
            return Err(Failure::new(FailureKind::Wrong, url, cause).into());
        }
        if reply.from != part.len() {
            part.clear()?;
        }
        let mut buffer = [0; 1 << 16];
        loop {
            self.check()?;
            let n = reply.read(&mut buffer).map_err(|e| Failure::broken(url, &e))?;
            if n == 0 {
                break;
            }
            if part.len() + n as u64 > package.size {
                part.clear()?;
                let cause = format!("more bytes come than the {} the lock names", package.size);
                return Err(Failure::new(FailureKind::Wrong, url, cause).into());
            }
            part.write(&buffer[..n], url)?;
            self.arrived(package, part.len());
        }
        if part.len() < package.size {
            let cause = format!("it ended after {} of {} bytes", part.len(), package.size);
            return Err(Failure::new(FailureKind::Broken, url, cause).into());
        }
        Ok(())
    }

    /// A .deb that lies beside the profile.
    fn copy(&self, path: &Path, package: &LockedPackage, part: &mut Part<'_>) -> Result<String, FetchError> {
        let name = path.display().to_string();
        let (what, hint) = match package.is_image() {
            true => ("the image of a container".to_owned(), "it is named as `archive` of a container"),
            false => (format!("the local package `{}`", package.name), "it is named under [archive] debs"),
        };
        let fail = |e| Error::io(format!("{what} cannot be read"), path, e);
        let mut file = std::fs::File::open(path).map_err(|e| fail(e).hint(hint))?;
        part.clear()?;
        let mut buffer = vec![0; 1 << 18];
        loop {
            interrupt::check()?;
            match file.read(&mut buffer).map_err(fail)? {
                0 => break,
                n => part.write(&buffer[..n], &name)?,
            }
        }
        self.arrived(package, package.size);
        if (part.digest(), part.len()) != (package.sha256, package.size) {
            let digest = part.digest();
            let _ = std::fs::remove_file(part.path());
            return Err(Error::new(Exit::LockOutdated, format!("{what} is not the one that was locked"))
                .at(name)
                .because(format!("its SHA-256 is {digest}, the lock says {}", package.sha256))
                .hint("lock again: `diorite lock NAME --update`")
                .into());
        }
        Ok(name)
    }
}

/// Name, version and architecture inside the .deb are the lock's.
pub fn same_package(package: &LockedPackage, file: &Path, from: &str) -> Result<()> {
    let wrong = |cause: String| {
        Error::new(
            Exit::LockOutdated,
            format!("package `{}` {} is not what the lock calls it", package.name, package.version),
        )
        .at(url::shown(from))
        .because(cause)
        .hint("lock again: `diorite lock NAME --update`; nothing was kept of this file")
    };
    let control = deb::control(file).map_err(|e| wrong(format!("{} ({})", e.what, e.cause.unwrap_or_default())))?;
    let Some((name, version, architecture)) = deb::identity(&control) else {
        return Err(wrong("the file's control paragraph has no Package, Version and Architecture".into()));
    };
    if (name, version, architecture) != (&package.name, &package.version, &package.architecture) {
        let locked = format!("{} {} {}", package.name, package.version, package.architecture);
        return Err(wrong(format!("the file is {name} {version} {architecture}, the lock says {locked}")));
    }
    Ok(())
}

/// Is the mirror itself there? Only known of those on this machine.
fn there(root: &str) -> bool {
    url::file_path(root).is_none_or(|directory| directory.is_dir())
}

/// What all these failures together mean for the package; `extra`: one of a repository besides Debian's.
fn judge(package: &LockedPackage, failures: &[Failure], extra: bool) -> FetchError {
    // The one that can be put right speaks; that a file has gone is only true when every place says so.
    let order = [
        FailureKind::Offline,
        FailureKind::Wrong,
        FailureKind::Certificate,
        FailureKind::Unknown,
        FailureKind::Broken,
        FailureKind::Busy,
        FailureKind::Refused,
        FailureKind::Range,
    ];
    let Some(worst) = order.iter().find_map(|kind| failures.iter().find(|f| f.kind == *kind)) else {
        return FetchError::Gone;
    };
    let what = format!("package `{}` {} cannot be fetched", package.name, package.version);
    let mut error = worst.clone().into_error(what);
    if extra {
        error = error.hint(worst.hint_of_extra());
    }
    if failures.len() > 1 {
        let lines: Vec<_> = failures.iter().map(|f| format!("{}: {}", f.url, f.cause)).collect();
        error = error.detail(lines.join("\n"));
    }
    if worst.passing() {
        let hint = error.hint.take().unwrap_or_default();
        error = error.hint(format!("{hint}; what has arrived is kept and continued"));
    }
    error.into()
}
