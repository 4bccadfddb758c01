//! Appending sections to a PE32+ program, which is how a unified kernel image is made from systemd's stub.
//!
//! Source: Microsoft, "PE Format" (COFF file header, optional header, section table, checksum). Only what is needed to
//! append is interpreted; everything else stays as it was.

mod signature;

use diorite_model::{Error, Result};

/// Characteristics of a section.
const INITIALIZED_DATA: u32 = 0x0000_0040;
const CODE: u32 = 0x0000_0020;
const MEM_READ: u32 = 0x4000_0000;
/// DllCharacteristics: the program works with data pages that cannot be run.
const NX_COMPAT: u16 = 0x0100;
/// Offsets inside the optional header of a PE32+ file.
const SIZE_OF_INITIALIZED_DATA: usize = 8;
const SECTION_ALIGNMENT: usize = 32;
const FILE_ALIGNMENT: usize = 36;
const SIZE_OF_IMAGE: usize = 56;
const SIZE_OF_HEADERS: usize = 60;
const CHECKSUM: usize = 64;
const DLL_CHARACTERISTICS: usize = 70;
const NUMBER_OF_DIRECTORIES: usize = 108;
/// The data directory that holds signatures.
const SECURITY_DIRECTORY: usize = 4;
/// Bytes of one section header.
const SECTION_HEADER: usize = 40;

/// One section of a PE file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeSection {
    /// Name, without its NULs.
    pub name: String,
    /// Bytes in memory.
    pub virtual_size: u32,
    /// Address in memory, relative to the image base.
    pub address: u32,
    /// Bytes in the file, a multiple of the file alignment.
    pub raw_size: u32,
    /// Where in the file.
    pub raw_offset: u32,
}

/// A PE file being changed.
#[derive(Clone)]
pub struct Pe {
    bytes: Vec<u8>,
    /// Offset of the COFF file header.
    coff: usize,
    /// Offset of the optional header.
    optional: usize,
    /// Offset of the section table.
    table: usize,
}

impl Pe {
    /// Takes a PE32+ file apart. Errors when it is not one, when a section lies outside it, or when its sections are
    /// not in the order of their addresses.
    pub fn parse(bytes: Vec<u8>) -> Result<Self> {
        let mut pe = Self { bytes, coff: 0, optional: 0, table: 0 };
        if !pe.bytes.starts_with(b"MZ") {
            return Err(damaged("it does not begin with `MZ`"));
        }
        let header = pe.u32(60)? as usize;
        if pe.bytes.get(header..header.saturating_add(4)) != Some(b"PE\0\0") {
            return Err(damaged("it has no PE header"));
        }
        pe.coff = header + 4;
        pe.optional = pe.coff + 20;
        pe.table = pe.optional + usize::from(pe.u16(pe.coff + 16)?);
        if pe.u16(pe.optional)? != 0x20b {
            return Err(damaged("it is not a 64-bit program (PE32+)"));
        }
        let alignments = [pe.u32(pe.optional + FILE_ALIGNMENT)?, pe.u32(pe.optional + SECTION_ALIGNMENT)?];
        if !alignments.iter().all(|a| a.is_power_of_two() && *a <= 1 << 16) {
            return Err(damaged("its alignments are not powers of two"));
        }
        let sections = pe.sections()?;
        if sections.windows(2).any(|w| u64::from(w[0].address) + u64::from(w[0].virtual_size) > u64::from(w[1].address))
        {
            return Err(damaged("its sections overlap in memory"));
        }
        for s in &sections {
            if u64::from(s.raw_offset) + u64::from(s.raw_size) > pe.bytes.len() as u64 {
                return Err(damaged(&format!("its section {} lies outside the file", s.name)));
            }
        }
        Ok(pe)
    }

    /// The section table.
    pub fn sections(&self) -> Result<Vec<PeSection>> {
        (0..usize::from(self.u16(self.coff + 2)?))
            .map(|i| {
                let at = self.table + i * SECTION_HEADER;
                let name = self.bytes.get(at..at + 8).ok_or_else(|| damaged("its section table is cut short"))?;
                let name = name.split(|&b| b == 0).next().unwrap_or_default();
                Ok(PeSection {
                    name: String::from_utf8_lossy(name).into_owned(),
                    virtual_size: self.u32(at + 8)?,
                    address: self.u32(at + 12)?,
                    raw_size: self.u32(at + 16)?,
                    raw_offset: self.u32(at + 20)?,
                })
            })
            .collect()
    }

    /// The bytes of a section, padding left out.
    pub fn section(&self, name: &str) -> Result<Option<&[u8]>> {
        let Some(s) = self.sections()?.into_iter().find(|s| s.name == name) else { return Ok(None) };
        let start = s.raw_offset as usize;
        Ok(self.bytes.get(start..start + s.virtual_size.min(s.raw_size) as usize))
    }

    /// Whether the file carries a signature.
    pub fn is_signed(&self) -> Result<bool> {
        if self.u32(self.optional + NUMBER_OF_DIRECTORIES)? as usize <= SECURITY_DIRECTORY {
            return Ok(false);
        }
        Ok(self.u32(self.optional + NUMBER_OF_DIRECTORIES + 4 + 8 * SECURITY_DIRECTORY)? != 0)
    }

    /// Whether the program allows its data pages not to be executable.
    pub fn nx_compatible(&self) -> Result<bool> {
        Ok(self.u16(self.optional + DLL_CHARACTERISTICS)? & NX_COMPAT != 0)
    }

    /// Says that the program wants executable data pages.
    pub fn clear_nx_compatible(&mut self) -> Result<()> {
        let flags = self.u16(self.optional + DLL_CHARACTERISTICS)? & !NX_COMPAT;
        self.put(self.optional + DLL_CHARACTERISTICS, &flags.to_le_bytes())
    }

    /// Appends a section: next aligned address, next aligned offset. `code` marks it as executable code (kernels
    /// entered by the handover protocol). Errors when the header has no room for another entry or the file would pass 4 GiB.
    pub fn append(&mut self, name: &str, data: &[u8], code: bool) -> Result<()> {
        assert!(name.len() <= 8, "section names have eight bytes");
        let file_alignment = self.u32(self.optional + FILE_ALIGNMENT)?;
        let headers = self.u32(self.optional + SIZE_OF_HEADERS)?.next_multiple_of(file_alignment);
        let sections = self.sections()?;
        let last = sections.last().ok_or_else(|| damaged("it has no sections"))?.clone();
        let at = self.table + sections.len() * SECTION_HEADER;
        // Everything up to the first section's data is header, whatever the header says about its own size.
        let first_data = sections.iter().filter(|s| s.raw_size > 0).map(|s| s.raw_offset).min().unwrap_or(headers);
        if at + SECTION_HEADER > headers.min(first_data) as usize {
            return Err(
                damaged("its header has no room for another section").hint("another systemd-boot-efi is needed")
            );
        }
        self.put(self.optional + SIZE_OF_HEADERS, &headers.to_le_bytes())?;
        let start = self.bytes.len().next_multiple_of(file_alignment as usize);
        let end = (start + data.len()).next_multiple_of(file_alignment as usize);
        let too_large = || Error::input(format!("the unified kernel image would be too large with its section {name}"));
        let raw_size = u32::try_from(end - start).map_err(|_| too_large())?;
        let address = self.aligned_end(&last).ok_or_else(too_large)?;
        u32::try_from(end).map_err(|_| too_large())?;
        self.bytes.resize(start, 0);
        self.bytes.extend(data);
        self.bytes.resize(end, 0);

        let kind = if code { CODE } else { INITIALIZED_DATA } | MEM_READ;
        let mut header = [0u8; SECTION_HEADER];
        header[..name.len()].copy_from_slice(name.as_bytes());
        for (i, value) in [data.len() as u32, address, raw_size, start as u32].into_iter().enumerate() {
            header[8 + 4 * i..12 + 4 * i].copy_from_slice(&value.to_le_bytes());
        }
        header[36..40].copy_from_slice(&kind.to_le_bytes());
        self.put(at, &header)?;
        self.put(self.coff + 2, &(sections.len() as u16 + 1).to_le_bytes())?;
        let initialized = self.u32(self.optional + SIZE_OF_INITIALIZED_DATA)?;
        let initialized = initialized.checked_add(data.len() as u32).ok_or_else(too_large)?;
        self.put(self.optional + SIZE_OF_INITIALIZED_DATA, &initialized.to_le_bytes())
    }

    /// Replaces the data of a section that is there, within the room it has in the file.
    pub fn replace(&mut self, name: &str, data: &[u8]) -> Result<()> {
        let sections = self.sections()?;
        let index =
            sections.iter().position(|s| s.name == name).ok_or_else(|| damaged(&format!("it has no {name}")))?;
        let section = &sections[index];
        if data.len() > section.raw_size as usize {
            return Err(damaged(&format!("its section {name} has no room for {} bytes", data.len())));
        }
        let mut padded = data.to_vec();
        padded.resize(section.raw_size as usize, 0);
        self.put(section.raw_offset as usize, &padded)?;
        self.put(self.table + index * SECTION_HEADER + 8, &(data.len() as u32).to_le_bytes())
    }

    /// Sets the image's size in memory, clears the checksum (firmware ignores it; a signature would not cover it) and
    /// gives the file back.
    pub fn finish(mut self) -> Result<Vec<u8>> {
        let sections = self.sections()?;
        let last = sections.last().ok_or_else(|| damaged("it has no sections"))?;
        let size = self.aligned_end(last).ok_or_else(|| damaged("it would be larger than 4 GiB in memory"))?;
        self.put(self.optional + SIZE_OF_IMAGE, &size.to_le_bytes())?;
        self.put(self.optional + CHECKSUM, &[0; 4])?;
        Ok(self.bytes)
    }

    /// The first aligned address behind a section.
    fn aligned_end(&self, section: &PeSection) -> Option<u32> {
        let alignment = self.u32(self.optional + SECTION_ALIGNMENT).ok()?;
        section.address.checked_add(section.virtual_size)?.checked_next_multiple_of(alignment)
    }

    fn put(&mut self, at: usize, bytes: &[u8]) -> Result<()> {
        let place = self.bytes.get_mut(at..at + bytes.len()).ok_or_else(|| damaged("it ends too early"))?;
        place.copy_from_slice(bytes);
        Ok(())
    }
    fn u16(&self, at: usize) -> Result<u16> {
        self.array(at).map(u16::from_le_bytes)
    }
    fn u32(&self, at: usize) -> Result<u32> {
        self.array(at).map(u32::from_le_bytes)
    }
    fn array<const N: usize>(&self, at: usize) -> Result<[u8; N]> {
        let bytes = at.checked_add(N).and_then(|end| self.bytes.get(at..end));
        bytes.and_then(|b| b.try_into().ok()).ok_or_else(|| damaged("it ends too early"))
    }
}

fn damaged(why: &str) -> Error {
    Error::input("an EFI program cannot be used").because(why)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A small PE32+ program with `.text` and `.sbat`, header room for `room` more sections.
    pub(crate) fn sample(room: usize, sbat: &[u8], nx: bool) -> Vec<u8> {
        let headers = (64 + 4 + 20 + 240 + (2 + room) * SECTION_HEADER).next_multiple_of(512);
        let mut file = b"MZ".to_vec();
        file.resize(60, 0);
        file.extend(64u32.to_le_bytes());
        file.extend(b"PE\0\0");
        let mut coff = [0u8; 20];
        coff[2..4].copy_from_slice(&2u16.to_le_bytes());
        coff[16..18].copy_from_slice(&240u16.to_le_bytes());
        file.extend(coff);
        let mut optional = [0u8; 240];
        optional[..2].copy_from_slice(&0x20bu16.to_le_bytes());
        for (at, value) in [
            (SECTION_ALIGNMENT, 4096u32),
            (FILE_ALIGNMENT, 512),
            (SIZE_OF_IMAGE, 3 * 4096),
            (SIZE_OF_HEADERS, headers as u32),
            (CHECKSUM, 77),
            (NUMBER_OF_DIRECTORIES, 16),
        ] {
            optional[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        optional[DLL_CHARACTERISTICS..][..2].copy_from_slice(&(if nx { NX_COMPAT } else { 0 }).to_le_bytes());
        file.extend(optional);
        for (i, (name, data)) in [(".text", &[0x90u8; 300][..]), (".sbat", sbat)].iter().enumerate() {
            let mut header = [0u8; SECTION_HEADER];
            header[..name.len()].copy_from_slice(name.as_bytes());
            let values = [data.len() as u32, 4096 * (i as u32 + 1), 512, (headers + 512 * i) as u32];
            for (k, value) in values.into_iter().enumerate() {
                header[8 + 4 * k..12 + 4 * k].copy_from_slice(&value.to_le_bytes());
            }
            file.extend(header);
        }
        file.resize(headers, 0);
        for data in [&[0x90u8; 300][..], sbat] {
            let end = file.len() + 512;
            file.extend(data);
            file.resize(end, 0);
        }
        file
    }

    #[test]
    fn appended_sections_are_aligned_ordered_and_complete() {
        let mut pe = Pe::parse(sample(3, b"sbat,1,x\n", true)).unwrap();
        pe.append(".osrel", b"ID=debian\n", false).unwrap();
        pe.append(".linux", &[1; 5000], true).unwrap();
        let pe = Pe::parse(pe.finish().unwrap()).unwrap();
        let sections = pe.sections().unwrap();
        assert_eq!(
            sections.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(),
            [".text", ".sbat", ".osrel", ".linux"]
        );
        for pair in sections.windows(2) {
            assert_eq!(pair[1].address % 4096, 0);
            assert_eq!(pair[1].raw_offset % 512, 0);
            assert_eq!(pair[1].raw_size % 512, 0);
            assert!(pair[0].raw_offset + pair[0].raw_size <= pair[1].raw_offset);
        }
        assert_eq!(pe.section(".osrel").unwrap().unwrap(), b"ID=debian\n");
        assert_eq!(pe.section(".linux").unwrap().unwrap(), [1; 5000]);
        assert_eq!(pe.u32(pe.optional + SIZE_OF_IMAGE).unwrap(), sections[3].address + 8192);
        assert_eq!(pe.u32(pe.optional + CHECKSUM).unwrap(), 0);
    }

    #[test]
    fn a_full_header_is_refused() {
        // 64 + 4 + 20 + 240 + 4 × 40 = 488 of 512 bytes: room for two, not for three.
        let mut pe = Pe::parse(sample(2, b"", true)).unwrap();
        pe.append(".a", b"1", false).unwrap();
        pe.append(".b", b"1", false).unwrap();
        let error = pe.append(".c", b"1", false).unwrap_err();
        assert!(error.to_string().contains("no room"), "{error}");
    }

    #[test]
    fn a_file_cut_anywhere_is_an_error_and_never_a_panic() {
        let whole = sample(1, b"sbat,1\n", false);
        for end in 0..whole.len() {
            assert!(Pe::parse(whole[..end].to_vec()).is_err(), "cut at {end}");
        }
        Pe::parse(whole).unwrap();
    }

    #[test]
    fn replacing_needs_room() {
        let mut pe = Pe::parse(sample(1, b"old", true)).unwrap();
        pe.replace(".sbat", &[b'x'; 512]).unwrap();
        assert_eq!(pe.section(".sbat").unwrap().unwrap(), [b'x'; 512]);
        assert!(pe.replace(".sbat", &[b'x'; 513]).is_err());
    }
}
