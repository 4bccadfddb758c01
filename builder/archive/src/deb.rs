//! The control paragraph of a .deb (deb(5)): an ar archive of `debian-binary`, `control.tar[.gz|.xz|.zst]`, `data.tar…`.
//! Only as much is read as the paragraph needs; contents are unpacked elsewhere, but for a package's changelog.

use crate::stanza;
use diorite_model::{Error, Result};
use std::io::Read;
use std::path::Path;

/// No control archive of Debian's is larger; what claims to be is not read.
const MOST_CONTROL: u64 = 64 << 20;

/// The text of `./control` in the .deb at `path`. Errors name the file.
pub fn control(path: &Path) -> Result<String> {
    let file = std::fs::File::open(path).map_err(|e| Error::io("cannot read the package", path, e))?;
    read_control(std::io::BufReader::new(file))
        .map_err(|cause| Error::input("this is not a Debian package").at(path.display().to_string()).because(cause))
}

/// Name, version and architecture of a control paragraph.
pub fn identity(control: &str) -> Option<(&str, &str, &str)> {
    Some((
        stanza::field(control, "Package")?,
        stanza::field(control, "Version")?,
        stanza::field(control, "Architecture")?,
    ))
}

/// The text of `./control` in a .deb that is read from its beginning. The error is the cause, in words.
pub fn read_control(deb: impl Read) -> Result<String, String> {
    let plain = member(deb, "control.tar")?;
    from_tar(plain.take(MOST_CONTROL)).map_err(|e| io(&e))?.ok_or("its control archive has no control file".to_owned())
}

/// The changelog of Debian's in the .deb at `path` (Policy 12.7), unpacked: `changelog.Debian.gz`, or of a package that is Debian's
/// own `changelog.gz`. Nothing where it has none, as packages whose documentation is that of another one.
///
/// # Errors
/// The file cannot be read, or is no package.
pub fn changelog(path: &Path, package: &str) -> Result<Option<Vec<u8>>> {
    let file = std::fs::File::open(path).map_err(|e| Error::io("cannot read the package", path, e))?;
    let found = member(std::io::BufReader::new(file), "data.tar")
        .and_then(|tar| changelog_in(tar, package).map_err(|e| io(&e)));
    found.map_err(|cause| Error::input("this is not a Debian package").at(path.display().to_string()).because(cause))
}

fn changelog_in(tar: impl Read, package: &str) -> std::io::Result<Option<Vec<u8>>> {
    let directory = format!("./usr/share/doc/{package}/");
    let mut own = None;
    for entry in tar::Archive::new(tar).entries()? {
        let mut entry = entry?;
        let path = entry.path_bytes().into_owned();
        let Some(name) = path.strip_prefix(directory.as_bytes()) else { continue };
        if entry.header().entry_type().is_file() && (name == b"changelog.Debian.gz" || name == b"changelog.gz") {
            let mut text = Vec::new();
            flate2::read::GzDecoder::new(&mut entry).take(MOST_CONTROL).read_to_end(&mut text)?;
            if name == b"changelog.Debian.gz" {
                return Ok(Some(text));
            }
            own = Some(text);
        }
    }
    Ok(own)
}

fn io(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => "it ends too early (a truncated download?)".to_owned(),
        _ => error.to_string(),
    }
}

/// The archive `control.tar` or `data.tar` of a .deb, decompressed. The error is the cause, in words.
fn member<'a>(mut deb: impl Read + 'a, wanted: &str) -> Result<Box<dyn Read + 'a>, String> {
    let mut magic = [0; 8];
    deb.read_exact(&mut magic).map_err(|e| io(&e))?;
    if &magic != b"!<arch>\n" {
        return Err("it does not begin like an ar archive".to_owned());
    }
    loop {
        let mut header = [0; 60];
        deb.read_exact(&mut header).map_err(|e| io(&e))?;
        let text = |range: std::ops::Range<usize>| std::str::from_utf8(&header[range]).unwrap_or("").trim();
        if &header[58..] != b"`\n" {
            return Err("a member's header is damaged".to_owned());
        }
        let size: u64 = text(48..58).parse().map_err(|_| "a member's size is not a number".to_owned())?;
        let name = text(0..16).trim_end_matches('/').to_owned();
        let Some(ending) = name.strip_prefix(wanted) else {
            if name.starts_with("data.tar") {
                return Err("it has no control archive before its data".to_owned());
            }
            let copied = std::io::copy(&mut (&mut deb).take(size), &mut std::io::sink()).map_err(|e| io(&e))?;
            if copied != size {
                return Err(io(&std::io::ErrorKind::UnexpectedEof.into()));
            }
            if size % 2 == 1 {
                deb.read_exact(&mut [0]).map_err(|e| io(&e))?;
            }
            continue;
        };
        let member = deb.take(size);
        return Ok(match ending {
            "" => Box::new(member),
            ".gz" => Box::new(flate2::read::GzDecoder::new(member)),
            ".xz" => Box::new(liblzma::read::XzDecoder::new_multi_decoder(member)),
            ".zst" => Box::new(zstd::Decoder::new(member).map_err(|e| io(&e))?),
            other => {
                let what = wanted.trim_end_matches(".tar");
                return Err(format!("its {what} archive is compressed as `{other}`, which dpkg does not support"));
            }
        });
    }
}

fn from_tar(tar: impl Read) -> std::io::Result<Option<String>> {
    for entry in tar::Archive::new(tar).entries()? {
        let mut entry = entry?;
        let path = entry.path_bytes().into_owned();
        if path == b"./control" || path == b"control" {
            let mut text = String::new();
            entry.read_to_string(&mut text)?;
            return Ok(Some(text));
        }
    }
    Ok(None)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    fn member(name: &str, bytes: &[u8]) -> Vec<u8> {
        let mut out = format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, 100644, bytes.len()).into_bytes();
        out.extend_from_slice(bytes);
        if bytes.len() % 2 == 1 {
            out.push(b'\n');
        }
        out
    }

    /// A .deb with this control file and no data.
    pub(crate) fn package(control: &str, compression: &str) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (name, content) in [("./", ""), ("./md5sums", "x\n"), ("./control", control)] {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            header.set_entry_type(if name == "./" { tar::EntryType::Directory } else { tar::EntryType::Regular });
            tar.append_data(&mut header, name, content.as_bytes()).unwrap();
        }
        let tar = tar.into_inner().unwrap();
        let packed = match compression {
            "" => tar,
            ".xz" => {
                let mut out = Vec::new();
                liblzma::read::XzEncoder::new(&tar[..], 0).read_to_end(&mut out).unwrap();
                out
            }
            ".gz" => {
                let mut out = Vec::new();
                flate2::read::GzEncoder::new(&tar[..], flate2::Compression::fast()).read_to_end(&mut out).unwrap();
                out
            }
            _ => zstd::encode_all(&tar[..], 1).unwrap(),
        };
        let mut deb = b"!<arch>\n".to_vec();
        deb.extend(member("debian-binary", b"2.0\n"));
        deb.extend(member(&format!("control.tar{compression}"), &packed));
        deb.extend(member("data.tar.xz", b"odd"));
        deb
    }

    #[test]
    fn every_compression_debian_uses() {
        let control = "Package: hello\nVersion: 1.0-1\nArchitecture: amd64\n";
        for compression in ["", ".gz", ".xz", ".zst"] {
            let text = read_control(&package(control, compression)[..]).unwrap();
            assert_eq!(identity(&text), Some(("hello", "1.0-1", "amd64")), "{compression}");
        }
    }

    #[test]
    fn damaged_packages_say_why() {
        let good = package("Package: a\n", ".xz");
        let mut reasons = vec![];
        for bytes in [
            &b"hello"[..],
            b"!<arch>\n",
            &good[..40],
            &good[..140],
            b"PK\x03\x04 a zip file",
            &[&good[..8], &good[70..]].concat(),
        ] {
            reasons.push(read_control(bytes).unwrap_err());
        }
        let mut only_data = b"!<arch>\n".to_vec();
        only_data.extend(member("data.tar.xz", b"x"));
        reasons.push(read_control(&only_data[..]).unwrap_err());
        insta::assert_snapshot!(reasons.join("\n"));
    }
}
