//! A file → a storage's content. The bytes go by as they are read: whatever the file's size, the memory is that of one
//! buffer.
//!
//! The server's reader of multipart bodies was written by hand, and what it does not expect ends in a closed connection
//! without a word: the boundary is not quoted, names of headers are spelt as here, the parts stand in this order with the
//! file last, and the length is known beforehand (pve-http-server, `AnyEvent.pm`, `file_upload_multipart`).

use crate::client::{CallError, CallErrorKind, Client, Method, Parameters, Path};
use crate::task::{self, Upid};
use diorite_host::progress::{Bar, BarUnit, Progress, bytes};
use diorite_model::{Digest, Hasher};
use std::io::{self, Read};
use ureq::SendBody;
use ureq::http::{Request, header};

/// Separates the parts. The server does not look for it inside the file: it counts.
const BOUNDARY: &str = "dioriteDioriteDIORITE7f3a";

/// What a storage keeps a file as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UploadContent {
    /// A disk image, to be imported: `.qcow2`, `.raw`, `.vmdk`, `.ova`.
    Import,
    /// A CD: `.iso`, `.img`.
    Iso,
}

impl UploadContent {
    pub(crate) fn word(self) -> &'static str {
        match self {
            UploadContent::Import => "import",
            UploadContent::Iso => "iso",
        }
    }
    fn endings(self) -> &'static [&'static str] {
        match self {
            UploadContent::Import => &[".qcow2", ".raw", ".vmdk", ".ova"],
            UploadContent::Iso => &[".iso", ".img"],
        }
    }
}

/// A file to be uploaded.
#[derive(Debug, Clone, Copy)]
pub struct Upload<'a> {
    /// The node that takes it. Ask the node itself by [`Target::url`](crate::Target::url): another one would keep the whole
    /// file first and pass it on.
    pub node: &'a str,
    /// The storage.
    pub storage: &'a str,
    /// What it is kept as.
    pub content: UploadContent,
    /// Its name there. A file of that name is overwritten without a word, so the name should hold the digest.
    pub name: &'a str,
    /// Bytes.
    pub size: u64,
    /// SHA-256 of the bytes. The node compares it before the file gets its name; so does the sender.
    pub digest: Digest,
}

impl Client {
    /// Uploads the bytes of `from`, and returns the task that puts the file in its place.
    ///
    /// # Errors
    /// [`CallErrorKind::Forbidden`] before anything is sent when the right to upload is missing (the server itself would let the
    /// connection break); [`CallErrorKind::Local`] when `from` is shorter, longer or other than was said, and then the storage is
    /// as it was; whatever else can happen on the way.
    pub fn upload(&self, upload: &Upload, from: &mut dyn Read, progress: &Progress) -> Result<Upid, CallError> {
        let path = Path::new(["nodes", upload.node, "storage", upload.storage, "upload"]);
        let failed = |kind, why: String| self.failure(kind, Method::Post, &path, why);
        let plain = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        if !upload.name.chars().all(plain) || upload.name.len() > 255 {
            return Err(failed(CallErrorKind::Local, format!("`{}` cannot be the name of a file there", upload.name)));
        }
        let ends = |end: &&str| upload.name.len() > end.len() && upload.name.ends_with(*end);
        if !upload.content.endings().iter().any(ends) {
            let endings = upload.content.endings().join(", ");
            return Err(failed(CallErrorKind::Local, format!("`{}` does not end in one of {endings}", upload.name)));
        }
        let granted = self.privileges(&format!("/storage/{}", upload.storage))?;
        if !granted.contains_key("Datastore.AllocateTemplate") {
            let why = format!("permission check (/storage/{}, Datastore.AllocateTemplate)", upload.storage);
            return Err(failed(CallErrorKind::Forbidden, why));
        }
        let (head, tail) = frame(upload);
        let length = head.len() as u64 + upload.size + tail.len() as u64;
        let stage = progress.stage(format!("upload {}", upload.name));
        let bar = stage.bar(upload.size, BarUnit::Bytes);
        let mut wrong = None;
        let mut file =
            ChecksummedReader { from, left: upload.size, hasher: Some(Hasher::new()), upload, bar, wrong: &mut wrong };
        let mut body = head.as_bytes().chain(&mut file).chain(tail.as_bytes());
        let request = Request::builder()
            .method("POST")
            .uri(format!("{}/api2/json{path}", self.target().url))
            .header(header::CONTENT_TYPE, format!("multipart/form-data; boundary={BOUNDARY}"))
            .header(header::CONTENT_LENGTH, length);
        let request = self.signed(Method::Post, request)?;
        // Once: the reader cannot be turned back.
        let sent = self.send(self.writes(), Method::Post, &path, request.body(SendBody::from_reader(&mut body)));
        let answer = sent.and_then(|answer| self.judge(Method::Post, &path, answer));
        let answer = match (answer, wrong) {
            (_, Some(why)) => return Err(failed(CallErrorKind::Local, why)),
            (answer, None) => answer?,
        };
        stage.done(bytes(upload.size));
        task::of_answer(self, Method::Post, &path, &answer)
    }

    /// What this login may do at a path, each privilege with whether it reaches what is below.
    ///
    /// # Errors
    /// As of any call. Nothing granted is no error.
    pub fn privileges(&self, at: &str) -> Result<std::collections::BTreeMap<String, bool>, CallError> {
        let path = Path::new(["access", "permissions"]);
        let answer = self.get(&path, &Parameters::none().text("path", at))?;
        let granted = answer.get(at).and_then(|v| v.as_object()).into_iter().flatten();
        Ok(granted.map(|(name, below)| (name.clone(), crate::json::truth(below))).collect())
    }
}

/// What stands before the file's bytes and behind them.
fn frame(upload: &Upload) -> (String, String) {
    let mut head = String::new();
    let digest = upload.digest.to_string();
    for (name, value) in
        [("content", upload.content.word()), ("checksum-algorithm", "sha256"), ("checksum", digest.as_str())]
    {
        head += &format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
    }
    head += &format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"filename\"; filename=\"{}\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n",
        upload.name
    );
    (head, format!("\r\n--{BOUNDARY}--\r\n"))
}

/// Lets exactly the bytes that were promised through. What is wrong with them ends the request before its last byte, so
/// that the server has nothing to keep.
struct ChecksummedReader<'a> {
    from: &'a mut dyn Read,
    left: u64,
    hasher: Option<Hasher>,
    upload: &'a Upload<'a>,
    bar: Bar,
    wrong: &'a mut Option<String>,
}

impl ChecksummedReader<'_> {
    fn refuse(&mut self, why: &str) -> io::Error {
        let why = format!("`{}` {why}", self.upload.name);
        *self.wrong = Some(why.clone());
        io::Error::other(why)
    }
}

impl Read for ChecksummedReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left > 0 {
            let most = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
            if most == 0 {
                return Ok(0);
            }
            let n = match self.from.read(&mut buffer[..most]) {
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => return Err(e),
                Err(e) => return Err(self.refuse(&format!("cannot be read: {e}"))),
            };
            if n == 0 {
                let left = self.left;
                return Err(self.refuse(&format!("has become shorter: {left} bytes are missing")));
            }
            if let Some(hasher) = &mut self.hasher {
                hasher.update(&buffer[..n]);
            }
            self.left -= n as u64;
            self.bar.inc(n as u64);
            if self.left > 0 {
                return Ok(n);
            }
            // Judged with the last bytes, which go only when all are right.
            let digest = self.hasher.take().map(Hasher::finish);
            if digest != Some(self.upload.digest) {
                return Err(self.refuse("has other bytes than its digest says"));
            }
            if self.from.read(&mut [0])? > 0 {
                return Err(self.refuse("has become longer"));
            }
            return Ok(n);
        }
        Ok(0)
    }
}
