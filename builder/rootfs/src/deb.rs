//! Reader of .deb files (deb(5)): an ar archive of `debian-binary`, `control.tar` and `data.tar`, each tar plain or
//! compressed with gzip, xz or zstd. Everything is streamed; an archive that is cut short or lies about its sizes
//! is one error that names the file.

use crate::control::Paragraph;
use diorite_model::{Error, Result};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Memory that decompressing one .deb may take: `xz -9` needs 65 MiB.
const XZ_MEMORY: u64 = 256 << 20;
/// Longest name, link target or attribute block that is believed.
const LONGEST_EXTENSION: u64 = 1 << 20;
/// Largest control member that is believed: md5sums of the largest packages have some megabytes.
const LARGEST_CONTROL: u64 = 64 << 20;

/// An opened package: control is read, data is not yet.
pub struct Deb {
    /// The file.
    pub path: PathBuf,
    /// The control paragraph.
    pub control: Paragraph,
    /// All control members but not their directory, by name.
    pub members: BTreeMap<String, ControlMember>,
    data: ArMember,
}

/// One file of control.tar.
pub struct ControlMember {
    /// Permission bits as in the archive.
    pub mode: u32,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// One entry of data.tar.
#[derive(Debug, Clone)]
pub struct Member {
    /// Name as in the archive without leading `./` or `/` and trailing `/`; empty for the root. Never `..`, never NUL.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: MemberKind,
    /// Permission bits, at most 0o7777.
    pub mode: u32,
    /// Owner by number.
    pub uid: u32,
    /// Group by number.
    pub gid: u32,
    /// Owner by name, may be empty.
    pub user: Vec<u8>,
    /// Group by name, may be empty.
    pub group: Vec<u8>,
    /// Seconds since 1970.
    pub mtime: i64,
    /// Extended attributes from PAX records (`SCHILY.xattr.`).
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemberKind {
    /// A directory.
    Directory,
    /// A regular file of this many bytes.
    File(u64),
    /// A symbolic link and its target, as written.
    Symlink(Vec<u8>),
    /// A hard link to an earlier entry of the same archive, named as in [`Member::path`].
    HardLink(Vec<u8>),
    /// A character device (major, minor).
    CharDevice(u32, u32),
    /// A block device (major, minor).
    BlockDevice(u32, u32),
    /// A named pipe.
    Fifo,
}

struct ArMember {
    name: String,
    start: u64,
    size: u64,
}

impl Deb {
    /// Opens a package and reads its control part.
    pub fn open(path: &Path) -> Result<Self> {
        let mut file = File::open(path).map_err(|e| Error::io("cannot open a package", path, e))?;
        let ar = ar_members(&mut file).map_err(|e| damaged(path, e))?;
        let (control_at, data_at) = parts(&mut file, &ar).map_err(|e| damaged(path, e))?;
        let mut members = BTreeMap::new();
        let reader = decompress(&file, &ar[control_at]).map_err(|e| damaged(path, e))?;
        read_tar(reader, &mut |member, content| {
            if let MemberKind::File(size) = member.kind {
                let name = String::from_utf8(member.path).map_err(|_| wrong("a control member's name is not UTF-8"))?;
                if name.contains('/') || size > LARGEST_CONTROL {
                    return Err(wrong(format!("an impossible control member `{name}`")));
                }
                let mut bytes = Vec::new();
                content.read_to_end(&mut bytes)?;
                members.insert(name, ControlMember { mode: member.mode & 0o777, bytes });
            }
            Ok(())
        })
        .map_err(|e| damaged(path, e))?;
        let control =
            members.remove("control").ok_or_else(|| damaged(path, wrong("there is no control file in it")))?;
        let control = Paragraph::parse(&control.bytes, &path.display().to_string())?;
        for field in ["Package", "Version", "Architecture"] {
            if control.get(field).is_none_or(str::is_empty) {
                return Err(damaged(path, wrong(format!("its control file has no {field}"))));
            }
        }
        let data = ar.into_iter().nth(data_at).expect("found above");
        Ok(Self { path: path.to_owned(), control, members, data })
    }

    /// Package.
    pub fn name(&self) -> &str {
        self.control.get("Package").unwrap_or_default()
    }
    /// Version.
    pub fn version(&self) -> &str {
        self.control.get("Version").unwrap_or_default()
    }
    /// Architecture.
    pub fn architecture(&self) -> &str {
        self.control.get("Architecture").unwrap_or_default()
    }
    /// A control member as text, empty if absent.
    pub fn text(&self, name: &str) -> String {
        self.members.get(name).map(|m| String::from_utf8_lossy(&m.bytes).into_owned()).unwrap_or_default()
    }

    /// Visits every entry of data.tar in order; the reader gives a regular file's content and never less than its
    /// size (then it is an error). What the visitor leaves unread is skipped.
    pub fn data(&self, visit: &mut dyn FnMut(Member, &mut dyn Read) -> io::Result<()>) -> Result<()> {
        let file = File::open(&self.path).map_err(|e| Error::io("cannot open a package", &self.path, e))?;
        let mut reader = decompress(&file, &self.data).map_err(|e| damaged(&self.path, e))?;
        read_tar(&mut reader, visit).map_err(|e| match carried(&e) {
            Some(ours) => ours,
            None => damaged(&self.path, e),
        })?;
        // To the end, so that the checksums of the compressed stream are seen.
        let rest =
            io::copy(&mut reader.by_ref().take(16 << 20), &mut io::sink()).map_err(|e| damaged(&self.path, e))?;
        if rest == 16 << 20 {
            return Err(damaged(&self.path, wrong("there is more behind the end of its data")));
        }
        Ok(())
    }
}

/// Takes an [`Error`] of ours through `io::Error`, out of a visitor of [`Deb::data`].
pub fn carry(error: Error) -> io::Error {
    io::Error::other(error)
}

fn carried(error: &io::Error) -> Option<Error> {
    error.get_ref().and_then(|e| e.downcast_ref::<Error>()).cloned()
}

fn wrong(why: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.into())
}

fn damaged(path: &Path, error: io::Error) -> Error {
    let why = match error.kind() {
        io::ErrorKind::UnexpectedEof => "it ends too early".to_owned(),
        _ => error.to_string(),
    };
    Error::input("a package file is damaged")
        .at(path.display().to_string())
        .because(why)
        .hint("remove it from the pool; it is fetched again")
}

/// Where control.tar and data.tar are, by deb(5) as dpkg-deb reads it: `debian-binary` with a version 2 comes first; then
/// control.tar; then data.tar; between them only members whose names begin with `_`. What is behind is not looked at.
fn parts(file: &mut File, ar: &[ArMember]) -> io::Result<(usize, usize)> {
    let first = ar.first().filter(|m| m.name == "debian-binary");
    let first = first.ok_or_else(|| wrong("its first member is not `debian-binary`"))?;
    file.seek(SeekFrom::Start(first.start))?;
    let mut version = Vec::new();
    file.take(first.size.min(64)).read_to_end(&mut version)?;
    let minor = version.strip_prefix(b"2.").and_then(|v| v.split(|&b| b == b'\n').next().filter(|m| m.len() < v.len()));
    if minor.is_none_or(|minor| minor.is_empty() || !minor.iter().all(u8::is_ascii_digit)) {
        return Err(wrong(format!("its `debian-binary` is not a line with a version 2: `{}`", lossy(&version))));
    }
    let is = |name: &str, part: &str| name == part || name.starts_with(&format!("{part}."));
    let mut control = None;
    for (at, ArMember { name, .. }) in ar.iter().enumerate().skip(1).filter(|(_, m)| !m.name.starts_with('_')) {
        match control {
            None if is(name, "control.tar") => control = Some(at),
            None => return Err(wrong(format!("`{name}` stands before its control.tar"))),
            Some(_) if is(name, "control.tar") => return Err(wrong("there are two control.tar in it")),
            Some(control) if is(name, "data.tar") => return Ok((control, at)),
            Some(_) => return Err(wrong(format!("`{name}` stands where its data.tar should"))),
        }
    }
    Err(wrong(format!("there is no {} in it", if control.is_none() { "control.tar" } else { "data.tar" })))
}

/// The members of an ar archive: a 60-byte header each, contents padded to even offsets.
fn ar_members(file: &mut File) -> io::Result<Vec<ArMember>> {
    let end = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(0))?;
    let mut magic = [0; 8];
    file.read_exact(&mut magic)?;
    if &magic != b"!<arch>\n" {
        return Err(wrong("it is not an ar archive"));
    }
    let (mut members, mut at) = (Vec::new(), 8);
    while at < end {
        let mut header = [0; 60];
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(&mut header)?;
        let text = std::str::from_utf8(&header).map_err(|_| wrong("a member's header is not text"))?;
        let digits = text[48..58].trim_end();
        // Rust's own reading allows a sign.
        let size = Some(digits).filter(|d| d.bytes().all(|b| b.is_ascii_digit())).and_then(|d| d.parse::<u64>().ok());
        let size = size.ok_or_else(|| wrong("a member's size is not a number"))?;
        if &header[58..] != b"`\n" {
            return Err(wrong("a member's header does not end as it should"));
        }
        let start = at + 60;
        if size > end - start {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        members.push(ArMember { name: text[..16].trim_end().trim_end_matches('/').to_owned(), start, size });
        at = start + size + (size & 1);
    }
    Ok(members)
}

fn decompress<'a>(file: &'a File, member: &ArMember) -> io::Result<Box<dyn Read + 'a>> {
    let mut file = file;
    file.seek(SeekFrom::Start(member.start))?;
    let raw = BufReader::with_capacity(1 << 17, file.take(member.size));
    let ending = member.name.split_once(".tar").map(|(_, ending)| ending);
    Ok(match ending {
        Some(".xz") => {
            let stream = liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, liblzma::stream::CONCATENATED)?;
            let reader = liblzma::bufread::XzDecoder::new_stream(raw, stream);
            Box::new(BufReader::with_capacity(1 << 17, reader))
        }
        Some(".zst") => Box::new(BufReader::with_capacity(1 << 17, zstd::stream::read::Decoder::with_buffer(raw)?)),
        Some(".gz") => Box::new(BufReader::with_capacity(1 << 17, flate2::bufread::MultiGzDecoder::new(raw))),
        Some("") => Box::new(raw),
        _ => return Err(wrong(format!("`{}` is compressed in an unknown way", member.name))),
    })
}

/// Names and attributes that stand in extension entries before the entry they belong to.
#[derive(Default)]
struct Extension {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

fn read_tar(reader: impl Read, visit: &mut dyn FnMut(Member, &mut dyn Read) -> io::Result<()>) -> io::Result<()> {
    use tar::EntryType as T;
    let mut archive = tar::Archive::new(reader);
    let mut extension = Extension::default();
    // Raw, so that long names are bounded: an archive cannot make us hold a name of gigabytes.
    for entry in archive.entries()?.raw(true) {
        let mut entry = entry?;
        let size = entry.size();
        let kind = entry.header().entry_type();
        if matches!(kind, T::GNULongName | T::GNULongLink | T::XHeader | T::XGlobalHeader) {
            if size > LONGEST_EXTENSION {
                return Err(wrong("a name of more than a megabyte"));
            }
            let mut bytes = Vec::new();
            Exact(&mut entry, size).read_to_end(&mut bytes)?;
            while kind != T::XHeader && bytes.last() == Some(&0) {
                bytes.pop();
            }
            match kind {
                T::GNULongName => extension.path = Some(bytes),
                T::GNULongLink => extension.link = Some(bytes),
                T::XHeader => pax(&bytes, &mut extension)?,
                _ => {}
            }
            continue;
        }
        let member = {
            let header = entry.header();
            let Extension { path, link, xattrs } = std::mem::take(&mut extension);
            let path = clean(&path.unwrap_or_else(|| header.path_bytes().into_owned()))?;
            let link = link.unwrap_or_else(|| header.link_name_bytes().unwrap_or_default().into_owned());
            let device = || -> io::Result<(u32, u32)> {
                let number = |n: io::Result<Option<u32>>| n?.ok_or_else(|| wrong("a device without a number"));
                Ok((number(header.device_major())?, number(header.device_minor())?))
            };
            let kind = match kind {
                T::Regular | T::Continuous => MemberKind::File(size),
                T::Directory => MemberKind::Directory,
                T::Symlink if !link.is_empty() && !link.contains(&0) => MemberKind::Symlink(link),
                T::Link => MemberKind::HardLink(clean(&link)?),
                T::Char => device().map(|(major, minor)| MemberKind::CharDevice(major, minor))?,
                T::Block => device().map(|(major, minor)| MemberKind::BlockDevice(major, minor))?,
                T::Fifo => MemberKind::Fifo,
                other => return Err(wrong(format!("`{}` is of an impossible kind {other:?}", lossy(&path)))),
            };
            if size != 0 && !matches!(kind, MemberKind::File(_)) {
                return Err(wrong(format!("`{}` has content but is not a file", lossy(&path))));
            }
            let id = |n: io::Result<u64>| n.and_then(|n| u32::try_from(n).map_err(|_| wrong("an impossible owner")));
            Member {
                kind,
                mode: header.mode()? & 0o7777,
                uid: id(header.uid())?,
                gid: id(header.gid())?,
                user: header.username_bytes().unwrap_or_default().to_vec(),
                group: header.groupname_bytes().unwrap_or_default().to_vec(),
                mtime: i64::try_from(header.mtime()?).unwrap_or(0),
                xattrs,
                path,
            }
        };
        let mut content = Exact(&mut entry, size);
        visit(member, &mut content)?;
        io::copy(&mut content, &mut io::sink())?;
    }
    Ok(())
}

/// PAX records: `LENGTH KEY=VALUE\n` (pax(1), extended header format).
fn pax(mut bytes: &[u8], extension: &mut Extension) -> io::Result<()> {
    while !bytes.is_empty() {
        let bad = || wrong("an unreadable PAX record");
        let space = bytes.iter().position(|&b| b == b' ').ok_or_else(bad)?;
        let length = std::str::from_utf8(&bytes[..space]).ok().and_then(|s| s.parse::<usize>().ok()).ok_or_else(bad)?;
        let record = bytes.get(space + 1..length).and_then(|r| r.strip_suffix(b"\n")).ok_or_else(bad)?;
        let equals = record.iter().position(|&b| b == b'=').ok_or_else(bad)?;
        let (key, value) = (&record[..equals], record[equals + 1..].to_vec());
        match key {
            b"path" => extension.path = Some(value),
            b"linkpath" => extension.link = Some(value),
            b"size" | b"uid" | b"gid" => return Err(wrong("a size or owner too large for its header")),
            _ => {
                if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                    extension.xattrs.insert(name.to_vec(), value);
                }
            }
        }
        bytes = &bytes[length..];
    }
    Ok(())
}

/// A name as in the archive → a path inside the tree.
fn clean(name: &[u8]) -> io::Result<Vec<u8>> {
    if name.contains(&0) || name.split(|&b| b == b'/').any(|part| part == b"..") {
        return Err(wrong(format!("a member's name leads outside: `{}`", lossy(name))));
    }
    let parts = name.split(|&b| b == b'/').filter(|part| !part.is_empty() && *part != b".");
    Ok(parts.collect::<Vec<_>>().join(&b'/'))
}

fn lossy(name: &[u8]) -> String {
    String::from_utf8_lossy(name).escape_debug().to_string()
}

/// Gives exactly this many bytes, or an error where the source has less.
struct Exact<'a, R>(&'a mut R, u64);

impl<R: Read> Read for Exact<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(usize::try_from(self.1).unwrap_or(usize::MAX));
        if most == 0 {
            return Ok(0);
        }
        let n = self.0.read(&mut buffer[..most])?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.1 -= n as u64;
        Ok(n)
    }
}
