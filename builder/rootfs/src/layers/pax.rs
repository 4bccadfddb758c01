//! What the extended headers of an entry say (pax(1), "pax Extended Header"): its time, attributes, and where its holes are, in
//! the three forms of GNU tar's manual ("Storing Sparse Files").

use std::collections::BTreeMap;
use std::io::{Error, ErrorKind, Read, Result};

/// A file with holes may not unpack to more than this: a layer of a few bytes could claim any size.
pub(super) const MOST_SPARSE: u64 = 1 << 30;

/// What is said of one entry.
#[derive(Default)]
pub(super) struct Extensions {
    /// Seconds since 1970, perhaps negative.
    pub mtime: Option<i64>,
    /// File capabilities and what users gave; everything else is of the machine it was made on.
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// It has holes.
    pub sparse: Option<SparseFile>,
}

/// A file with holes: pieces of data, and zeros between them.
#[derive(Default)]
pub(super) struct SparseFile {
    /// Its name, where the entry has one that was made up.
    pub name: Option<Vec<u8>>,
    size: u64,
    /// Offset and length of each piece, one after the other; in form 1.0 they stand before the data.
    map: Vec<u64>,
    map_in_data: bool,
}

impl Extensions {
    /// Reads those of an entry.
    pub fn read(entry: &mut tar::Entry<impl Read>) -> Result<Self> {
        let mut found = Self::default();
        for extension in entry.pax_extensions()?.into_iter().flatten() {
            let extension = extension?;
            let (key, value) = (extension.key_bytes(), extension.value_bytes());
            if key == b"mtime" {
                found.mtime = Some(seconds(value)?);
            } else if let Some(word) = key.strip_prefix(b"GNU.sparse.") {
                found.sparse.get_or_insert_default().word(word, value)?;
            } else if let Some(name) = key.strip_prefix(b"SCHILY.xattr.")
                && (name == b"security.capability" || name.starts_with(b"user."))
            {
                found.xattrs.insert(name.to_vec(), value.to_vec());
            }
        }
        Ok(found)
    }
}

impl SparseFile {
    fn word(&mut self, word: &[u8], value: &[u8]) -> Result<()> {
        match word {
            b"name" => self.name = Some(value.to_vec()),
            b"size" | b"realsize" => self.size = number(value)?,
            b"major" => self.map_in_data = value != b"0",
            b"map" => self.map = value.split(|&b| b == b',').map(number).collect::<Result<_>>()?,
            b"offset" | b"numbytes" => self.map.push(number(value)?),
            _ => {}
        }
        Ok(())
    }

    /// The file with its holes filled. Errors: a map that does not fit the data, or the size; more than [`MOST_SPARSE`] bytes.
    pub fn filled(mut self, mut data: &[u8]) -> Result<Vec<u8>> {
        if self.map_in_data {
            data = self.take_map(data)?;
        }
        if self.size > MOST_SPARSE {
            return Err(damaged("it unpacks to more than 1 GiB"));
        }
        let mut file = vec![0; self.size as usize];
        for piece in self.map.chunks(2) {
            let &[offset, len] = piece else { return Err(damaged("its map of holes is incomplete")) };
            let (offset, len) = (usize::try_from(offset), usize::try_from(len));
            let (Ok(offset), Ok(len)) = (offset, len) else { return Err(damaged("its map of holes is out of range")) };
            let place = file.get_mut(offset..).and_then(|rest| rest.get_mut(..len));
            let (Some(place), Some((bytes, rest))) = (place, data.split_at_checked(len)) else {
                return Err(damaged("its map of holes is not about its data"));
            };
            place.copy_from_slice(bytes);
            data = rest;
        }
        Ok(file)
    }

    /// Form 1.0: lines of decimal numbers, of which the first is the number of pieces, and then the data at a whole record.
    fn take_map<'d>(&mut self, data: &'d [u8]) -> Result<&'d [u8]> {
        let mut lines = data.split_inclusive(|&b| b == b'\n');
        let mut used = 0;
        let mut next = || {
            let line = lines.next().unwrap_or_default();
            used += line.len();
            number(line.strip_suffix(b"\n").unwrap_or_default())
        };
        let pieces = next()?;
        for _ in 0..pieces.saturating_mul(2) {
            self.map.push(next()?);
        }
        data.get(used.next_multiple_of(512)..).ok_or_else(|| damaged("its map of holes ends too late"))
    }
}

fn damaged(cause: &str) -> Error {
    Error::new(ErrorKind::InvalidData, cause)
}

fn number(text: &[u8]) -> Result<u64> {
    let number = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    number.ok_or_else(|| damaged("there is no number where one must be"))
}

/// Whole seconds of a decimal number, rounded down.
fn seconds(text: &[u8]) -> Result<i64> {
    let parsed = std::str::from_utf8(text).ok().and_then(|text| {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let whole: i64 = whole.parse().ok()?;
        let down = text.starts_with('-') && fraction.bytes().any(|b| b != b'0');
        Some(whole.saturating_sub(i64::from(down)))
    });
    parsed.ok_or_else(|| damaged("its time is not a number"))
}

/// The time in the header itself: octal, or GNU's form for what octal digits cannot say, two's complement from a byte 0xff on.
pub(super) fn mtime(header: &tar::Header) -> Result<i64> {
    let raw = &header.as_old().mtime;
    match (raw[0], raw.last_chunk()) {
        (0xff, Some(last)) => Ok(i64::from_be_bytes(*last)),
        _ => Ok(i64::try_from(header.mtime()?).unwrap_or(i64::MAX)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rounded_down() {
        for (text, expected) in
            [("0", 0), ("1.75", 1), ("-86400", -86_400), ("-1.5", -2), ("-1.0", -1), ("9000000000", 9_000_000_000)]
        {
            assert_eq!(seconds(text.as_bytes()).unwrap(), expected, "{text}");
        }
        assert!(seconds(b"yesterday").is_err() && seconds(b"").is_err());
    }

    #[test]
    fn maps_that_mean_harm_are_refused() {
        let file = |size: u64, map: &[u64], data: &[u8]| {
            SparseFile { size, map: map.to_vec(), ..SparseFile::default() }.filled(data)
        };
        assert_eq!(file(6, &[1, 2, 4, 1], b"abc").unwrap(), b"\0ab\0c\0");
        for (size, map, data) in [
            (6, &[5, 2][..], &b"ab"[..]),
            (6, &[u64::MAX, 2], b"ab"),
            (6, &[1, u64::MAX], b"ab"),
            (6, &[1, 3], b"ab"),
            (6, &[1], b"ab"),
            (MOST_SPARSE + 1, &[], b""),
        ] {
            assert!(file(size, map, data).is_err(), "{size} {map:?}");
        }
        let in_data = |data: &[u8]| SparseFile { size: 4, map_in_data: true, ..SparseFile::default() }.filled(data);
        let mut good = b"1\n2\n1\n".to_vec();
        good.resize(512, 0);
        good.push(b'x');
        assert_eq!(in_data(&good).unwrap(), b"\0\0x\0");
        for bad in [&b""[..], b"1\n2\n", b"18446744073709551615\n", b"x\n", &good[..300]] {
            assert!(in_data(bad).is_err());
        }
    }
}
