//! Multipart bodies as the hand-written parser of pve-http-server takes them. What deviates ends as it does there, mostly
//! in a closed connection.

use crate::reply::{ApiReply, refuse};
use crate::request::Head;
use diorite_model::{Digest, Hasher};
use std::io::{BufRead as _, BufReader, Read, Write};

/// What was sent.
pub(crate) struct UploadForm {
    /// Text parts in their order, then the file's name under `filename`.
    pub fields: Vec<(String, String)>,
    pub size: u64,
    pub digest: Digest,
}

/// Reads a body of this length. The file's bytes are counted and digested, and kept only where somebody says.
pub(crate) fn read<S: Read>(
    head: &Head,
    reader: &mut BufReader<S>,
    length: u64,
    mut keep: Option<&mut dyn Write>,
) -> Result<UploadForm, ApiReply> {
    let boundary = head.header("content-type").and_then(|t| t.strip_prefix("multipart/form-data; boundary="));
    // A quoted boundary is not understood.
    let boundary = boundary.filter(|b| !b.contains('"')).ok_or(None)?;
    let mut fields: Vec<(String, String)> = Vec::new();
    let mut left = length;
    let line = |left: &mut u64, reader: &mut BufReader<S>| -> Result<String, ApiReply> {
        let mut line = String::new();
        let n = reader.take(4096).read_line(&mut line).map_err(|_| None)?;
        *left = left.checked_sub(n as u64).ok_or(None)?;
        line.strip_suffix("\r\n").map(str::to_owned).ok_or(None)
    };
    loop {
        if line(&mut left, reader)? != format!("--{boundary}") {
            return Err(None);
        }
        let disposition = line(&mut left, reader)?;
        let named = disposition.strip_prefix("Content-Disposition: form-data; name=\"").ok_or(None)?;
        let (name, rest) = named.split_once('"').ok_or(None)?;
        let mut header = line(&mut left, reader)?;
        while !header.is_empty() {
            header = line(&mut left, reader)?;
        }
        let Some(file) = rest.strip_prefix("; filename=\"").and_then(|f| f.strip_suffix('"')) else {
            let value = line(&mut left, reader)?;
            // The parser looks for the algorithm before the checksum: the other order swallows one.
            if name == "checksum-algorithm" && fields.iter().any(|(n, _)| n == "checksum") {
                fields.retain(|(n, _)| n != "checksum");
            }
            fields.push((name.to_owned(), value));
            continue;
        };
        if name != "filename" {
            return Err(refuse(500, format!("wrong field name '{name}' for file upload, expected 'filename'")));
        }
        let tail = format!("\r\n--{boundary}--\r\n");
        let size = left.checked_sub(tail.len() as u64).ok_or(None)?;
        let (mut hasher, mut buffer, mut rest) = (Hasher::new(), vec![0; 64 << 10], size);
        while rest > 0 {
            let most = buffer.len().min(rest as usize);
            let n = reader.read(&mut buffer[..most]).map_err(|_| None)?;
            if n == 0 {
                // The other side went away: the temporary file is unlinked.
                return Err(None);
            }
            hasher.update(&buffer[..n]);
            if let Some(keep) = &mut keep {
                keep.write_all(&buffer[..n]).expect("the file can be kept");
            }
            rest -= n as u64;
        }
        let mut end = vec![0; tail.len()];
        reader.read_exact(&mut end).map_err(|_| None)?;
        if end != tail.as_bytes() {
            return Err(None);
        }
        // The path is stripped, and what is not plain becomes `_`.
        let base = file.rsplit(['/', '\\']).next().unwrap_or(file);
        let plain = |c: char| if c.is_ascii_alphanumeric() || "_.-".contains(c) { c } else { '_' };
        fields.push(("filename".into(), base.chars().map(plain).collect()));
        return Ok(UploadForm { fields, size, digest: hasher.finish() });
    }
}
