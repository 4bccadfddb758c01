//! A zip archive as wheels are: PKWARE's APPNOTE 6.3.10, of which only stored and deflated regular files are taken. Strict
//! where other readers choose: what two readers could read as two things is refused.

use flate2::Crc;
use flate2::read::DeflateDecoder;
use std::collections::BTreeSet;
use std::io::Read as _;

/// One regular file of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZipFile {
    /// Its path: no empty part, no `.` or `..`, no leading slash.
    pub path: String,
    /// Whether somebody may run it.
    pub executable: bool,
    /// Bytes.
    pub size: u64,
    start: usize,
    compressed: usize,
    deflated: bool,
    crc: u32,
}

/// The most files an archive may have.
const MOST: u64 = 200_000;
/// The most it may unpack to: a zip bomb is seen before it is set off.
const LARGEST: u64 = 8 << 30;
/// How much larger than the archive, and how much more besides.
const RATIO: u64 = 200;
const SLACK: u64 = 64 << 20;

/// Where the directory of an archive is.
struct Directory {
    start: u64,
    end: u64,
    entries: u64,
}

/// The regular files of an archive, in the order of its directory. Error: a cause in words.
pub fn files(bytes: &[u8]) -> Result<Vec<ZipFile>, String> {
    let directory = directory(bytes)?;
    if directory.entries > MOST {
        return Err(format!("it has more than {MOST} files"));
    }
    let (mut at, mut files, mut names, mut total) = (directory.start, Vec::new(), BTreeSet::new(), 0u64);
    let mut extents = Vec::new();
    for _ in 0..directory.entries {
        let entry = Entry::read(bytes, at, directory.end)?;
        at = entry.next;
        if !names.insert(entry.name.trim_end_matches('/').to_owned()) {
            return Err(format!("it holds `{}` twice", shown(&entry.name)));
        }
        let (start, end) = entry.data(bytes, directory.start)?;
        extents.push((entry.offset, end));
        total = total.saturating_add(entry.size);
        files.extend(entry.file(start)?);
    }
    if at != directory.end {
        return Err("its directory holds more than its entries".into());
    }
    extents.sort_unstable();
    if extents.windows(2).any(|pair| pair[1].0 < pair[0].1) {
        return Err("two of its files lie over each other".into());
    }
    if total > LARGEST || total > (bytes.len() as u64).saturating_mul(RATIO).saturating_add(SLACK) {
        return Err(format!("it would unpack to {total} bytes, which is more than an archive of its size may"));
    }
    let regular: BTreeSet<&str> = files.iter().map(|f: &ZipFile| f.path.as_str()).collect();
    for name in &names {
        if let Some(file) = name.match_indices('/').map(|(at, _)| &name[..at]).find(|above| regular.contains(above)) {
            return Err(format!("`{}` is a file and a directory", shown(file)));
        }
    }
    Ok(files)
}

/// The content of a file. Error: a cause in words.
pub fn content(bytes: &[u8], file: &ZipFile) -> Result<Vec<u8>, String> {
    let wrong = |what: &str| format!("`{}` {what}", shown(&file.path));
    let packed = &bytes[file.start..file.start + file.compressed];
    let content = match file.deflated {
        false => packed.to_vec(),
        true => {
            let mut content = Vec::with_capacity(usize::try_from(file.size).unwrap_or(0).min(1 << 26));
            let mut decoder = DeflateDecoder::new(packed);
            let read = decoder.by_ref().take(file.size + 1).read_to_end(&mut content);
            read.map_err(|e| wrong(&format!("cannot be decompressed: {e}")))?;
            if decoder.total_in() != packed.len() as u64 {
                return Err(wrong("has more behind its end"));
            }
            content
        }
    };
    let mut crc = Crc::new();
    crc.update(&content);
    match content.len() as u64 == file.size && crc.sum() == file.crc {
        true => Ok(content),
        false => Err(wrong("has not the size or the checksum that the archive says")),
    }
}

/// Little-endian numbers of an archive.
fn number(bytes: &[u8], at: u64, length: usize) -> Result<u64, String> {
    let at = usize::try_from(at).map_err(|_| cut())?;
    let piece = bytes.get(at..at.checked_add(length).ok_or_else(cut)?).ok_or_else(cut)?;
    Ok(piece.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

fn cut() -> String {
    "it is no complete zip archive".into()
}

/// The end record, 4.3.16, and its successor for large archives, 4.3.14 and 4.3.15.
fn directory(bytes: &[u8]) -> Result<Directory, String> {
    const END: u64 = 22;
    let length = bytes.len() as u64;
    let last = length.checked_sub(END).ok_or_else(cut)?;
    let first = last.saturating_sub(u64::from(u16::MAX));
    let ends = |at: &u64| {
        let signed = number(bytes, *at, 4) == Ok(0x0605_4b50);
        signed && number(bytes, at + 20, 2).is_ok_and(|comment| at + END + comment == length)
    };
    let end = (first..=last).rev().find(ends).ok_or_else(cut)?;
    let field = |at: u64, length: usize| number(bytes, end + at, length);
    let disks = (field(4, 2)?, field(6, 2)?);
    if disks != (0, 0) || field(8, 2)? != field(10, 2)? {
        return Err("it is a part of an archive of several files".into());
    }
    let (mut entries, mut size, mut start, mut behind) = (field(10, 2)?, field(12, 4)?, field(16, 4)?, end);
    if entries == 0xffff || size == 0xffff_ffff || start == 0xffff_ffff {
        let locator = end.checked_sub(20).ok_or_else(cut)?;
        let record = number(bytes, locator + 8, 8)?;
        if number(bytes, locator, 4)? != 0x0706_4b50 || number(bytes, record, 4)? != 0x0606_4b50 {
            return Err(cut());
        }
        (entries, size, start) =
            (number(bytes, record + 32, 8)?, number(bytes, record + 40, 8)?, number(bytes, record + 48, 8)?);
        behind = record;
    }
    match start.checked_add(size) {
        Some(end) if end == behind => Ok(Directory { start, end, entries }),
        _ => Err("its directory is not where it says".into()),
    }
}

/// One entry of the directory, 4.3.12.
struct Entry {
    name: String,
    size: u64,
    compressed: u64,
    /// Where its local header is.
    offset: u64,
    crc: u32,
    deflated: bool,
    /// st_mode where a Unix wrote it, else 0.
    mode: u64,
    /// Where the next entry begins.
    next: u64,
}

impl Entry {
    fn read(bytes: &[u8], at: u64, end: u64) -> Result<Self, String> {
        let field = |offset: u64, length: usize| number(bytes, at + offset, length);
        if field(0, 4)? != 0x0201_4b50 {
            return Err("an entry of its directory is none".into());
        }
        let (name_length, extra_length, comment_length) = (field(28, 2)?, field(30, 2)?, field(32, 2)?);
        let next = at + 46 + name_length + extra_length + comment_length;
        if next > end {
            return Err(cut());
        }
        let raw = &bytes[(at + 46) as usize..(at + 46 + name_length) as usize];
        let flags = field(8, 2)?;
        let name = std::str::from_utf8(raw).ok().filter(|name| flags & 0x800 != 0 || name.is_ascii());
        let name = name.ok_or("the name of a file in it is not UTF-8, or is not said to be")?.to_owned();
        let wrong = |what: &str| format!("`{}` {what}", shown(&name));
        plain(&name).map_err(|why| wrong(&why))?;
        if flags & 0x2041 != 0 {
            return Err(wrong("is encrypted"));
        }
        let deflated = match field(10, 2)? {
            0 => false,
            8 => true,
            _ => return Err(wrong("is compressed in a way that wheels are not")),
        };
        let (mut size, mut compressed, mut offset) = (field(24, 4)?, field(20, 4)?, field(42, 4)?);
        let mut large = Large::find(bytes, at + 46 + name_length, extra_length)?;
        for number in [&mut size, &mut compressed, &mut offset] {
            if *number == 0xffff_ffff {
                *number = large.next(bytes).ok_or_else(|| wrong("has no size"))?;
            }
        }
        let crc = field(16, 4)? as u32;
        let unix = field(5, 1)? == 3;
        let mode = if unix { field(38, 4)? >> 16 } else { 0 };
        Ok(Self { name, size, compressed, offset, crc, deflated, mode, next })
    }

    /// Where its bytes are, by its local header, 4.3.7, which must name the same file.
    fn data(&self, bytes: &[u8], directory: u64) -> Result<(u64, u64), String> {
        let wrong = |what: &str| format!("`{}` {what}", shown(&self.name));
        let header = self.offset.checked_add(30).filter(|end| *end <= directory).ok_or_else(cut)?;
        if number(bytes, self.offset, 4)? != 0x0403_4b50 {
            return Err(wrong("is not where the directory says"));
        }
        let (name, extra) = (number(bytes, self.offset + 26, 2)?, number(bytes, self.offset + 28, 2)?);
        let start = header + name + extra;
        let end = start.checked_add(self.compressed).filter(|end| *end <= directory).ok_or_else(cut)?;
        match &bytes[header as usize..(header + name) as usize] == self.name.as_bytes() {
            true => Ok((start, end)),
            false => Err(wrong("has another name where it lies")),
        }
    }

    /// The file; none for a directory, which is made for the files in it.
    fn file(self, start: u64) -> Result<Option<ZipFile>, String> {
        let wrong = |what: &str| format!("`{}` {what}", shown(&self.name));
        let kind = self.mode & 0o170_000;
        if self.name.ends_with('/') {
            return match (self.size, kind) {
                (0, 0 | 0o040_000) => Ok(None),
                _ => Err(wrong("is a directory with a content")),
            };
        }
        match kind {
            0 | 0o100_000 => {}
            0o120_000 => return Err(wrong("is a symbolic link")),
            _ => return Err(wrong("is not a regular file")),
        }
        if !self.deflated && self.size != self.compressed {
            return Err(wrong("has two sizes"));
        }
        Ok(Some(ZipFile {
            executable: self.mode & 0o111 != 0,
            size: self.size,
            start: start as usize,
            compressed: self.compressed as usize,
            deflated: self.deflated,
            crc: self.crc,
            path: self.name,
        }))
    }
}

/// The sizes of 64 bits in an entry's extra field, 4.5.3.
struct Large {
    at: u64,
    end: u64,
}

impl Large {
    fn find(bytes: &[u8], mut at: u64, length: u64) -> Result<Self, String> {
        let end = at + length;
        while at + 4 <= end {
            let (kind, size) = (number(bytes, at, 2)?, number(bytes, at + 2, 2)?);
            let next = at + 4 + size;
            if kind == 1 && next <= end {
                return Ok(Self { at: at + 4, end: next });
            }
            at = next;
        }
        Ok(Self { at: end, end })
    }

    fn next(&mut self, bytes: &[u8]) -> Option<u64> {
        if self.at + 8 > self.end {
            return None;
        }
        self.at += 8;
        number(bytes, self.at - 8, 8).ok()
    }
}

/// A path that stays inside, and means the same to every reader.
fn plain(name: &str) -> Result<(), String> {
    let path = name.strip_suffix('/').unwrap_or(name);
    if path.len() > 1000 || path.split('/').any(|part| part.len() > 255) {
        return Err("has a name that is too long".into());
    }
    if path.chars().any(|c| c.is_control() || c == '\\') || path.as_bytes().get(1) == Some(&b':') {
        return Err("has a name with a character that no wheel needs".into());
    }
    match path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        true => Err("is not a path inside the archive".into()),
        false => Ok(()),
    }
}

fn shown(name: &str) -> String {
    name.chars().take(120).collect::<String>().escape_debug().to_string()
}
