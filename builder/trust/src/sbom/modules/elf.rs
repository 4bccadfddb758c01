//! Sections of an ELF file by name, elf(5): 32 and 64 bits, both byte orders.

/// More sections than any program has.
const MOST: usize = 1 << 16;

/// The named sections of a file.
pub struct Sections<'a> {
    bytes: &'a [u8],
    wide: bool,
    big: bool,
    table: &'a [u8],
    entry: usize,
    names: &'a [u8],
}

/// Where a section is.
struct SectionPlace {
    name: usize,
    kind: u32,
    offset: usize,
    size: usize,
}

/// A section that takes no bytes of the file.
const NOBITS: u32 = 8;

impl<'a> Sections<'a> {
    /// The section table; nothing for a file that is not ELF or has none.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        if bytes.get(..4)? != b"\x7fELF" {
            return None;
        }
        let (wide, big) = (*bytes.get(4)? == 2, *bytes.get(5)? == 2);
        let all = Self { bytes, wide, big, table: &[], entry: 0, names: &[] };
        let (offset, entry, count, names) = if wide { (0x28, 0x3a, 0x3c, 0x3e) } else { (0x20, 0x2e, 0x30, 0x32) };
        let offset = all.word(bytes, offset)?;
        let short = |at: usize| all.number(bytes, at, 2).map(|n| n as usize);
        let (entry, count, names) = (short(entry)?, short(count)?, short(names)?);
        if entry < if wide { 64 } else { 40 } || count > MOST {
            return None;
        }
        let table = slice(bytes, offset, entry.checked_mul(count)?)?;
        let all = Self { table, entry, ..all };
        let names = all.section(names)?;
        Some(Self { names: slice(bytes, names.offset, names.size)?, ..all })
    }

    /// The content of a section.
    pub fn get(&self, name: &str) -> Option<&'a [u8]> {
        let wanted = |section: &SectionPlace| {
            let text = self.names.get(section.name..).unwrap_or_default();
            text.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.first() == Some(&0))
        };
        let all = (0..self.table.len() / self.entry).filter_map(|i| self.section(i));
        let section = all.into_iter().find(|section| section.kind != NOBITS && wanted(section))?;
        slice(self.bytes, section.offset, section.size)
    }

    fn section(&self, index: usize) -> Option<SectionPlace> {
        let header = slice(self.table, index.checked_mul(self.entry)?, self.entry)?;
        let (offset, size) = if self.wide { (0x18, 0x20) } else { (0x10, 0x14) };
        Some(SectionPlace {
            name: self.number(header, 0, 4)? as usize,
            kind: self.number(header, 4, 4)? as u32,
            offset: self.word(header, offset)?,
            size: self.word(header, size)?,
        })
    }

    /// An address-sized number.
    fn word(&self, bytes: &[u8], at: usize) -> Option<usize> {
        usize::try_from(self.number(bytes, at, if self.wide { 8 } else { 4 })?).ok()
    }

    fn number(&self, bytes: &[u8], at: usize, length: usize) -> Option<u64> {
        let digits = slice(bytes, at, length)?;
        let join = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        Some(if self.big { digits.iter().fold(0, join) } else { digits.iter().rev().fold(0, join) })
    }
}

fn slice(bytes: &[u8], start: usize, length: usize) -> Option<&[u8]> {
    bytes.get(start..start.checked_add(length)?)
}
