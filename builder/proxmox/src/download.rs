//! An image that a node fetches from this host by itself (`download-url`). Compared with an upload, nothing is kept on the
//! node's root file system on the way, and the file has its name only once its SHA-256 was compared.
//!
//! Whether a node can reach this host shows when it comes. When it does not, the image is uploaded, and why is said.

use crate::check::may_fetch;
use crate::client::{CallError, CallErrorKind, Client, Method, Parameters, Path};
use crate::file_server::FileServer;
use crate::target::Serve;
use crate::task;
use crate::upload::Upload;
use diorite_host::interrupt;
use diorite_host::progress::{BarUnit, Progress};
use std::path::Path as FilePath;
use std::time::Instant;

/// What requested of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DownloadResult {
    /// The file is there, and has the digest that was said.
    Present,
    /// The node cannot; the storage is as it was.
    Unavailable(String),
}

impl Client {
    /// Has a node fetch a file that is served from here meanwhile.
    ///
    /// # Errors
    /// [`CallErrorKind::Task`] when other bytes arrived than were sent; whatever a call can fail with.
    pub fn download(
        &self,
        upload: &Upload,
        from: &FilePath,
        serve: &Serve,
        progress: &Progress,
    ) -> Result<DownloadResult, CallError> {
        let not = |why: String| Ok(DownloadResult::Unavailable(why));
        if !may_fetch(self, upload.node)? {
            return not(format!("{} has no Sys.AccessNetwork at /nodes/{}", self.who(), upload.node));
        }
        let stage = progress.stage(format!("serve {}", upload.name));
        let bar = stage.bar(upload.size, BarUnit::Bytes);
        let served = match FileServer::start(from, upload.size, serve, self.target().authority(), bar) {
            Ok(served) => served,
            Err(e) => return not(format!("this host cannot serve it: {e}")),
        };
        let path = Path::new(["nodes", upload.node, "storage", upload.storage, "download-url"]);
        let parameters = Parameters::none()
            .text("url", served.url())
            .text("content", upload.content.word())
            .text("filename", upload.name)
            .text("checksum-algorithm", "sha256")
            .text("checksum", upload.digest.to_string());
        let answer = self.call(Method::Post, &path, &parameters)?;
        let task = task::of_answer(self, Method::Post, &path, &answer)?;
        let begun = Instant::now();
        while !served.requested() && !self.has_ended(&task)? {
            if interrupt::came() {
                let _ = self.stop(&task);
                return Err(self.failure(CallErrorKind::Interrupted, Method::Post, &path, "interrupted"));
            }
            if begun.elapsed() > self.limits().connect {
                // It would go on trying for many minutes. That it may have ended meanwhile does no harm.
                let _ = self.stop(&task);
                return not(format!(
                    "no connection to {} within {} seconds; is there a firewall or address translation in between?",
                    served.host(),
                    self.limits().connect.as_secs()
                ));
            }
            std::thread::sleep(self.limits().poll / 4);
        }
        match self.wait(&task, &format!("node {} fetches {}", upload.node, upload.name), progress) {
            Ok(_) => {
                stage.done("");
                Ok(DownloadResult::Present)
            }
            // These bytes were sent from here, and others have arrived.
            Err(failure) if served.requested() && failure.why.contains("checksum mismatch") => Err(failure),
            Err(failure) if failure.kind == CallErrorKind::Task => not(failure.why),
            Err(failure) => {
                // It is not served any longer.
                let _ = self.stop(&task);
                Err(failure)
            }
        }
    }
}
