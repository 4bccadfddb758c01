//! The deciding half's door to the mirrors: release files and indexes, whole, with fall-back from mirror to mirror.

use super::{Failure, FailureKind, HttpClient, Options};
use crate::sources::{SourceConfig, Sources};
use crate::transport::{Repository, Transport};
use crate::url;
use diorite_model::Result;

/// No index that is read is larger (trixie's Packages is 57 MB uncompressed).
const LARGEST: u64 = 1 << 30;

/// Mirrors and the client that reads them: one for a whole run.
pub struct MirrorClient {
    /// The mirrors of each archive, best first.
    pub sources: Sources,
    /// The client all requests go through.
    pub http: HttpClient,
}

impl MirrorClient {
    /// The archive as this profile and this machine know it. Errors: those of [`Sources::discover`] and [`HttpClient::new`].
    pub fn of_machine(wanted: &SourceConfig, options: Options) -> Result<Self> {
        Ok(Self { sources: Sources::of_machine(wanted)?, http: HttpClient::new(options)? })
    }
}

impl Transport for MirrorClient {
    fn find(&self, repository: Repository<'_>, path: &str) -> Result<Option<Vec<u8>>> {
        let extra;
        let roots = match repository {
            Repository::Main => &self.sources.main,
            Repository::Security => &self.sources.security,
            Repository::Extra(root) => {
                extra = vec![root.to_owned()];
                &extra
            }
        };
        let mut failures = Vec::new();
        for root in roots {
            match self.http.get(&url::join(root, path), LARGEST) {
                Ok(bytes) => return Ok(Some(bytes)),
                Err(failure) if failure.kind == FailureKind::Interrupted => return Err(failure.into_error(path)),
                Err(failure) => failures.push(failure),
            }
        }
        // Object stores answer 403 (Forbidden) for what they do not have.
        let gone = |f: &Failure| f.kind == FailureKind::Gone || repository.is_extra() && f.status == Some(403);
        // A mirror that is down says less than one that has no such file, but it is what can be put right.
        let Some(worst) = failures.iter().find(|f| !gone(f)) else { return Ok(None) };
        let mut error = worst.clone().into_error(format!("`{path}` cannot be read"));
        if repository.is_extra() {
            error = error.hint(worst.hint_of_extra());
        }
        let lines: Vec<_> = failures.iter().map(|f| format!("{}: {}", f.url, f.cause)).collect();
        Err(if lines.len() > 1 { error.detail(lines.join("\n")) } else { error })
    }
}
