//! Reading an index of wheels: its pages, and the files that they name. A login goes to the index's own host alone.

use super::page::{self, IndexFile};
use crate::http::{AuthResponse, Failure, FailureKind, HttpClient, RemoteFile};
use crate::sources::WheelIndex;
use crate::url;
use diorite_host::interrupt;

/// JSON where the index has it, else HTML (PEP 691, "Version + format selection").
const ACCEPT: &str = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1";
/// The page of a distribution with ten thousand files has some megabytes.
const LARGEST_PAGE: u64 = 64 << 20;

/// An index, and the client that reads it.
#[derive(Clone, Copy)]
pub struct IndexClient<'a> {
    /// The client.
    pub http: &'a HttpClient,
    /// The index.
    pub index: &'a WheelIndex,
}

impl IndexClient<'_> {
    /// The files of a distribution, by its name in the normal form; none where the index does not know it.
    pub fn files(&self, name: &str) -> Result<Option<Vec<IndexFile>>, Failure> {
        let mut place = self.index.page(name);
        if url::scheme(&place) == Some("file") {
            place += "index.html";
        }
        let mut failures = 0;
        let (bytes, at) = loop {
            match self.text(&place) {
                Ok(text) => break text,
                Err(failure) if failure.kind == FailureKind::Gone => return Ok(None),
                Err(failure) if failure.passing() && failures + 1 < self.http.options().attempts => {
                    self.http.pause(failures, &failure, &interrupt::check)?;
                    failures += 1;
                }
                Err(failure) => return Err(failure),
            }
        };
        let files = page::read(&bytes, &at).map_err(|cause| Failure::new(FailureKind::Wrong, &at, cause))?;
        // A page of the network leads to the network alone, and without TLS to its own host.
        let fine = |file: &IndexFile| {
            let own = url::origin(&file.url) == url::origin(&place);
            own || url::may_lead(&place, &file.url) || file.url.starts_with("https://")
        };
        Ok(Some(files.into_iter().filter(fine).collect()))
    }

    /// A page, and where it was found in the end.
    fn text(&self, place: &str) -> Result<(Vec<u8>, String), Failure> {
        let reply = self.opened(place, 0, ACCEPT)?;
        let at = reply.url().to_owned();
        Ok((reply.whole(place, LARGEST_PAGE)?, at))
    }

    /// Opens a file that a page names, at an offset.
    pub fn open(&self, url: &str, from: u64) -> Result<RemoteFile, Failure> {
        self.opened(url, from, "*/*")
    }

    fn opened(&self, url: &str, from: u64, accept: &str) -> Result<RemoteFile, Failure> {
        // Without TLS, and not of this very machine, a proxy may be needed, and nothing is sent that it should not see.
        if url::scheme(url) != Some("https") && !url::is_here(url) {
            return self.http.open(url, from);
        }
        let own = url::origin(url) == url::origin(&self.index.root);
        let authorization = self.index.authorization.as_deref().filter(|_| own);
        match self.http.ask(url, from, accept, authorization)? {
            AuthResponse::File(reply) => Ok(reply),
            AuthResponse::Unauthorized(_) => {
                let cause = "the server answers 401 Unauthorized";
                Err(Failure { status: Some(401), ..Failure::new(FailureKind::Refused, url, cause) })
            }
        }
    }
}

/// What to do about an index that did not give what was asked for.
pub fn hint(failure: &Failure) -> &'static str {
    match failure.kind {
        _ if failure.status == Some(401) => {
            "give the login in the index's URL: DIORITE_WHEEL_INDEX=https://USER:PASSWORD@HOST/simple, or pip's `index-url`"
        }
        FailureKind::Gone | FailureKind::Refused | FailureKind::Range | FailureKind::Wrong => {
            "name another index of wheels: DIORITE_WHEEL_INDEX, or `wheel_index` under [archive] in the profile"
        }
        FailureKind::Busy => "try again later",
        FailureKind::Broken | FailureKind::Unknown | FailureKind::Interrupted => {
            "see whether this machine has a network and needs a proxy (http_proxy, https_proxy), or name another index of \
             wheels: DIORITE_WHEEL_INDEX, or `wheel_index` under [archive] in the profile"
        }
        FailureKind::Certificate | FailureKind::Offline => failure.hint(),
    }
}

/// What to do about a URL of the profile's own.
pub fn hint_of_url(failure: &Failure) -> &'static str {
    match failure.kind {
        FailureKind::Certificate | FailureKind::Offline => failure.hint(),
        FailureKind::Busy => "try again later",
        _ => {
            "look at the URL in the requirement, and see whether this machine has a network and needs a proxy (http_proxy, \
             https_proxy)"
        }
    }
}
