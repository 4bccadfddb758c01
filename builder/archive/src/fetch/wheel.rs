//! One wheel: from where the profile names it, or from where an index of wheels says that it is today. The lock names no
//! host, so that any index that has the file will do.

use super::part::Part;
use super::{FetchError, Run, lock};
use crate::http::{FailureKind, RemoteFile};
use crate::sources::PackageUrl;
use crate::url;
use crate::wheels::index::{self, IndexClient};
use diorite_model::{Error, Exit, LockedPackage, Result};

impl Run<'_> {
    /// Into the unfinished file; its URL.
    pub(super) fn wheel(&self, package: &LockedPackage, part: &mut Part<'_>) -> Result<String, FetchError> {
        let fetched = self.place_of(package).and_then(|place| self.place(&place, package, part).map(|()| place.url));
        if fetched.is_err() && part.len() == 0 {
            let _ = std::fs::remove_file(part.path());
        }
        match fetched {
            Err(FetchError::Failed(failure)) if failure.kind != FailureKind::Interrupted => {
                let own = package.path.contains("://");
                let hint = if own { index::hint_of_url(&failure) } else { index::hint(&failure) };
                let what = format!("wheel `{}` {} cannot be fetched", package.name, package.version);
                Err(failure.into_error(what).hint(hint).into())
            }
            other => other,
        }
    }

    /// Opens a wheel at an offset.
    pub(super) fn open_wheel(&self, url: &str, package: &LockedPackage, from: u64) -> Result<RemoteFile, FetchError> {
        match package.path.contains("://") {
            true => Ok(self.archive.http.open(url, from)?),
            false => Ok(self.index()?.open(url, from)?),
        }
    }

    fn index(&self) -> Result<IndexClient<'_>> {
        Ok(IndexClient { http: &self.archive.http, index: self.archive.sources.wheel_index()? })
    }

    /// Where it is: by its digest, since an index may keep files of one name in several places.
    fn place_of(&self, package: &LockedPackage) -> Result<PackageUrl, FetchError> {
        if package.path.contains("://") {
            return Ok(PackageUrl { root: url::origin(&package.path).to_owned(), url: package.path.clone() });
        }
        let known = lock(&self.pages).get(&package.name).cloned();
        let files = match known {
            Some(files) => files,
            None => {
                let files: std::sync::Arc<_> = self.index()?.files(&package.name)?.unwrap_or_default().into();
                lock(&self.pages).insert(package.name.clone(), std::sync::Arc::clone(&files));
                files
            }
        };
        let found = files.iter().find(|f| f.sha256 == Some(package.sha256));
        // An index that says no digest is taken at its name; the bytes are compared all the same.
        let found = found.or_else(|| files.iter().find(|f| f.sha256.is_none() && f.name == package.file_name()));
        match found {
            Some(file) => Ok(PackageUrl { root: url::origin(&file.url).to_owned(), url: file.url.clone() }),
            None => Err(Error::new(
                Exit::LockOutdated,
                format!("wheel `{}` {} has gone from the index of wheels", package.name, package.version),
            )
            .at(package.path.clone())
            .because(match files.is_empty() {
                true => "the index does not know this distribution",
                false => "the index has no file with this SHA-256",
            })
            .hint(
                "lock again with `diorite lock NAME --update`, name another index (DIORITE_WHEEL_INDEX, or `wheel_index` under \
                 [archive] in the profile), or import a vault that has it (`diorite vault import FILE`)",
            )
            .into()),
        }
    }
}
