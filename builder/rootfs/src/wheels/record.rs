//! `RECORD`, the list of a wheel's files with their hashes: "Recording installed projects" of the Python packaging
//! specifications. Read and compared with every file before anything is installed, and written for what was installed.

use diorite_model::{Digest, base64};
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use std::collections::BTreeMap;

/// What a list says of one file: the algorithm, the hash, and the size where it is said.
type Recorded = Option<(String, String, Option<u64>)>;

/// The rows of a list, by path. Error: a cause in words.
pub(super) fn read(text: &str) -> Result<BTreeMap<String, Recorded>, String> {
    let mut all = BTreeMap::new();
    for row in rows(text)? {
        let [path, hash, size] = &row[..] else {
            return Err(format!("RECORD has a line with {} fields, not three", row.len()));
        };
        let recorded = match hash.split_once('=') {
            None if hash.is_empty() => None,
            None => return Err(format!("RECORD has no hash of `{}`", path.escape_debug())),
            Some((algorithm, hash)) => {
                let size = match size.as_str() {
                    "" => None,
                    size => Some(size.parse().map_err(|_| format!("RECORD has no size of `{}`", path.escape_debug()))?),
                };
                Some((algorithm.to_owned(), hash.trim_end_matches('=').to_owned(), size))
            }
        };
        // Some builders name their paths from here.
        let path = path.strip_prefix("./").unwrap_or(path).to_owned();
        if let Some(before) = all.insert(path.clone(), recorded.clone())
            && before != recorded
        {
            return Err(format!("RECORD says two things of `{}`", path.escape_debug()));
        }
    }
    Ok(all)
}

/// Whether a content is the recorded one. Error: a cause in words.
pub(super) fn verify(path: &str, content: &[u8], recorded: &Recorded) -> Result<(), String> {
    let path = path.escape_debug();
    let Some((algorithm, hash, size)) = recorded else { return Err(format!("RECORD has no hash of `{path}`")) };
    let found = match algorithm.as_str() {
        "sha256" => encoded(&Sha256::digest(content)),
        "sha384" => encoded(&Sha384::digest(content)),
        "sha512" => encoded(&Sha512::digest(content)),
        other => {
            return Err(format!("RECORD has a hash of `{path}` by `{}`, which proves nothing", other.escape_debug()));
        }
    };
    if found != *hash {
        return Err(format!("`{path}` has not the hash that RECORD says"));
    }
    match size {
        Some(size) if *size != content.len() as u64 => Err(format!("`{path}` has not the size that RECORD says")),
        _ => Ok(()),
    }
}

/// Base64 for URLs and file names (RFC 4648 5) without padding.
fn encoded(hash: &[u8]) -> String {
    base64::encode(hash).replace('+', "-").replace('/', "_").trim_end_matches('=').to_owned()
}

/// One row, for what was installed.
pub(super) fn row(path: &str, digest: &Digest, size: usize) -> String {
    format!("{},sha256={},{size}\n", field(path), encoded(&digest.0))
}

/// A row without a hash: that of the list itself.
pub(super) fn bare(path: &str) -> String {
    format!("{},,\n", field(path))
}

fn field(text: &str) -> String {
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}

/// Comma-separated values, RFC 4180.
fn rows(text: &str) -> Result<Vec<Vec<String>>, String> {
    let (mut rows, mut row, mut cell) = (Vec::new(), Vec::new(), String::new());
    let mut quoted = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                cell.push('"');
                chars.next();
            }
            '"' if quoted => quoted = false,
            c if quoted => cell.push(c),
            '"' if cell.is_empty() => quoted = true,
            ',' => row.push(std::mem::take(&mut cell)),
            '\r' if chars.peek() == Some(&'\n') => {}
            '\n' => {
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            c => cell.push(c),
        }
    }
    if quoted {
        return Err("RECORD ends inside quotation marks".into());
    }
    if !cell.is_empty() || !row.is_empty() {
        row.push(cell);
        rows.push(row);
    }
    rows.retain(|row| row.len() != 1 || !row[0].is_empty());
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_and_compared() {
        let hash = encoded(&Sha256::digest(b"x"));
        let text = format!(
            "./a/b.py,sha256={hash}=,1\r\n\"c, \"\"d\"\".py\",sha512={},\na.dist-info/RECORD,,\n",
            encoded(&Sha512::digest(b"y"))
        );
        let all = read(&text).unwrap();
        let paths: Vec<&str> = all.keys().map(String::as_str).collect();
        assert_eq!(paths, ["a.dist-info/RECORD", "a/b.py", "c, \"d\".py"]);
        assert_eq!(verify("a/b.py", b"x", &all["a/b.py"]), Ok(()));
        assert_eq!(verify("c", b"y", &all["c, \"d\".py"]), Ok(()));
        assert!(verify("a/b.py", b"y", &all["a/b.py"]).is_err());
        assert!(verify("a", b"", &all["a.dist-info/RECORD"]).is_err());
        let longer = read(&format!("a,sha256={hash},2\n")).unwrap();
        assert!(verify("a", b"x", &longer["a"]).unwrap_err().contains("size"));
        assert_eq!(row("a,b", &Digest::of(b"x"), 1), format!("\"a,b\",sha256={hash},1\n"));
    }

    #[test]
    fn what_is_no_list_is_said() {
        let all = ["a,b", "a,md5,1\n", "a,sha256=x,many\n", "\"a", "a,sha256=x,1\na,sha256=y,1\n"];
        let mut said: Vec<String> = all.iter().map(|text| read(text).unwrap_err()).collect();
        said.push(verify("a", b"x", &Some(("md5".into(), "x".into(), None))).unwrap_err());
        insta::assert_snapshot!(said.join("\n"));
    }
}
