//! The signature of a PE program: what it is over, how it is put on, and the program without it.
//!
//! Sources: Microsoft, "Windows Authenticode Portable Executable Signature Format" (calculating the hash) and "PE Format"
//! (attribute certificate table, checksum).

use super::{CHECKSUM, NUMBER_OF_DIRECTORIES, Pe, SECURITY_DIRECTORY, SIZE_OF_HEADERS, damaged};
use diorite_model::{Digest, Hasher, Result};

/// WIN_CERTIFICATE: revision 2.0, PKCS #7.
const REVISION_AND_KIND: [u8; 4] = [0x00, 0x02, 0x02, 0x00];
/// Entries of the certificate table begin at multiples of it.
const ALIGNMENT: usize = 8;

impl Pe {
    /// Where the entry of the certificate table stands in the optional header.
    fn security_entry(&self) -> Result<usize> {
        if self.u32(self.optional + NUMBER_OF_DIRECTORIES)? as usize <= SECURITY_DIRECTORY {
            return Err(damaged("its header has no room for a signature"));
        }
        Ok(self.optional + NUMBER_OF_DIRECTORIES + 4 + 8 * SECURITY_DIRECTORY)
    }

    /// The digest that its signature is over: all of the program but its checksum and its signature.
    ///
    /// # Errors
    /// Its headers are damaged.
    pub fn authenticode(&self) -> Result<Digest> {
        let entry = self.security_entry()?;
        let headers = self.u32(self.optional + SIZE_OF_HEADERS)? as usize;
        let signature = self.u32(entry + 4)? as usize;
        let end = self.bytes.len().checked_sub(signature).ok_or_else(|| damaged("its signature is larger than it"))?;
        let stretch = |from: usize, to: usize| self.bytes.get(from..to).ok_or_else(|| damaged("it ends too early"));
        let mut hasher = Hasher::new();
        hasher.update(stretch(0, self.optional + CHECKSUM)?);
        hasher.update(stretch(self.optional + CHECKSUM + 4, entry)?);
        hasher.update(stretch(entry + 8, headers)?);
        let mut sections = self.sections()?;
        sections.retain(|section| section.raw_size > 0);
        sections.sort_by_key(|section| section.raw_offset);
        let mut hashed = headers;
        for section in sections {
            let (start, size) = (section.raw_offset as usize, section.raw_size as usize);
            hasher.update(stretch(start, start + size)?);
            hashed += size;
        }
        // What stands behind the sections is counted from as many bytes as were taken.
        if end > hashed {
            hasher.update(stretch(hashed, end)?);
        }
        Ok(hasher.finish())
    }

    /// Its signature: PKCS #7 in DER, zeros behind it taken off by whoever reads it.
    ///
    /// # Errors
    /// Its headers are damaged.
    pub fn signature(&self) -> Result<Option<&[u8]>> {
        if !self.is_signed()? {
            return Ok(None);
        }
        let at = self.u32(self.security_entry()?)? as usize;
        let length = self.u32(at)? as usize;
        let bytes = at.checked_add(8).zip(at.checked_add(length)).and_then(|(from, to)| self.bytes.get(from..to));
        bytes.map(Some).ok_or_else(|| damaged("its signature lies outside the file"))
    }

    /// The program as it is before it is signed: without signature and checksum, a multiple of eight bytes long. This is what
    /// signed programs are compared by.
    ///
    /// # Errors
    /// Its headers are damaged.
    pub fn unsigned(mut self) -> Result<Self> {
        let entry = self.security_entry()?;
        if self.is_signed()? {
            let at = self.u32(entry)? as usize;
            let behind =
                self.sections()?.iter().map(|s| (s.raw_offset + s.raw_size) as usize).max().unwrap_or_default();
            if at < behind || at > self.bytes.len() {
                return Err(damaged("its signature lies outside the file, or over its sections"));
            }
            self.bytes.truncate(at);
        }
        self.put(entry, &[0; 8])?;
        self.put(self.optional + CHECKSUM, &[0; 4])?;
        let length = self.bytes.len().next_multiple_of(ALIGNMENT);
        self.bytes.resize(length, 0);
        Ok(self)
    }

    /// Puts this signature (PKCS #7 in DER) on a program that [`Self::unsigned`] has made, and sets the checksum.
    ///
    /// # Errors
    /// Its headers are damaged, or it has a signature.
    pub fn signed(mut self, signature: &[u8]) -> Result<Vec<u8>> {
        let entry = self.security_entry()?;
        if self.is_signed()? || !self.bytes.len().is_multiple_of(ALIGNMENT) {
            return Err(damaged("it is not in the form in which programs are signed"));
        }
        let too_large = || damaged("it would be larger than 4 GiB");
        let at = u32::try_from(self.bytes.len()).map_err(|_| too_large())?;
        let length = u32::try_from(8 + signature.len()).map_err(|_| too_large())?;
        self.bytes.extend(length.to_le_bytes());
        self.bytes.extend(REVISION_AND_KIND);
        self.bytes.extend(signature);
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGNMENT), 0);
        let size = u32::try_from(self.bytes.len()).map_err(|_| too_large())? - at;
        self.put(entry, &[at.to_le_bytes(), size.to_le_bytes()].concat())?;
        let sum = self.checksum();
        self.put(self.optional + CHECKSUM, &sum.to_le_bytes())?;
        Ok(self.bytes)
    }

    /// The bytes as they are.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// The sum of all 16-bit words with end-around carry, and the length; the checksum itself counts as zero. Words of 32 bits have
    /// the same sum, because 2¹⁶ is 1 modulo 2¹⁶ - 1.
    fn checksum(&self) -> u32 {
        let at = self.optional + CHECKSUM;
        let word = |bytes: &[u8]| bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        let (words, rest) = self.bytes.as_chunks::<4>();
        let mut sum = words.iter().map(|bytes| u64::from(u32::from_le_bytes(*bytes))).sum::<u64>() + word(rest);
        // Nothing promises that its own place is a multiple of four: each byte is taken off as it was counted.
        let own = self.bytes.get(at..at + 4).unwrap_or_default().iter().enumerate();
        sum -= own.map(|(n, byte)| u64::from(*byte) << (8 * ((at + n) % 4))).sum::<u64>();
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        sum as u32 + self.bytes.len() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pe::tests::sample;

    fn unsigned() -> Pe {
        Pe::parse(sample(2, b"sbat,1\n", true)).unwrap().unsigned().unwrap()
    }

    #[test]
    fn a_signature_comes_off_as_it_went_on() {
        let before = unsigned();
        let (plain, digest) = (before.clone().into_bytes(), before.authenticode().unwrap());
        let signed = Pe::parse(before.signed(b"thirteen byte").unwrap()).unwrap();
        assert!(signed.is_signed().unwrap());
        assert_eq!(signed.signature().unwrap(), Some(&b"thirteen byte"[..]));
        assert_eq!(signed.authenticode().unwrap(), digest, "the digest is over everything else");
        assert!(signed.clone().signed(b"another").is_err(), "there is one");
        assert_eq!(signed.unsigned().unwrap().into_bytes(), plain);
    }

    #[test]
    fn every_byte_but_checksum_and_signature_is_in_the_digest() {
        let plain = unsigned();
        let (digest, length) = (plain.authenticode().unwrap(), plain.bytes.len());
        let free = [plain.optional + CHECKSUM..plain.optional + CHECKSUM + 4, {
            let entry = plain.security_entry().unwrap();
            entry..entry + 8
        }];
        for at in 0..length {
            let mut bytes = plain.bytes.clone();
            bytes[at] ^= 0x40;
            let changed = Pe::parse(bytes).and_then(|pe| pe.authenticode());
            let same = changed.is_ok_and(|d| d == digest);
            assert!(!same || free.iter().any(|range| range.contains(&at)), "byte {at}");
        }
    }

    #[test]
    fn what_stands_behind_the_sections_is_in_the_digest() {
        let plain = unsigned();
        let longer = Pe::parse([plain.bytes.clone(), b"appended".to_vec()].concat()).unwrap();
        assert_ne!(longer.authenticode().unwrap(), plain.authenticode().unwrap());
    }

    #[test]
    fn a_damaged_table_is_an_error_and_never_a_panic() {
        let signed = unsigned().signed(b"signature").unwrap();
        let entry = unsigned().security_entry().unwrap();
        for at in entry..entry + 8 {
            for value in [0x00, 0x7f, 0xff] {
                let mut bytes = signed.clone();
                bytes[at] = value;
                if let Ok(pe) = Pe::parse(bytes) {
                    let _ = (pe.authenticode(), pe.signature().map(drop), pe.unsigned().map(drop));
                }
            }
        }
    }
}
