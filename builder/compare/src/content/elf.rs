//! ELF programs and libraries, elf(5): the section in which the first difference is, and the build identifier.

use super::{InnerDifference, bytes, inside, within};

/// What differs, when both are 64-bit little-endian ELF files of the same shape.
pub(super) fn difference(a: &[u8], b: &[u8], _depth: usize) -> Option<InnerDifference> {
    let (x, y) = (sections(a)?, sections(b)?);
    let content = |bytes: &[u8], s: &ElfSection| bytes.get(s.start..s.start.checked_add(s.len)?).map(<[u8]>::to_vec);
    let names = |all: &[ElfSection]| all.iter().map(|s| s.name.clone()).collect::<Vec<_>>();
    if names(&x) != names(&y) {
        return Some(inside("ELF, sections", x.len(), y.len(), "it was compiled or stripped in another way"));
    }
    // The identifier follows from everything else, and so is told only when nothing else differs.
    let differing =
        |wanted: bool| x.iter().zip(&y).find(|(x, y)| (x.name == BUILD_ID) == wanted && content(a, x) != content(b, y));
    if let Some((x, y)) = differing(false) {
        let (left, right) = (content(a, x).unwrap_or_default(), content(b, y).unwrap_or_default());
        return Some(within(&format!("ELF, section {}", x.name), bytes(&left, &right)));
    }
    let (x, y) = differing(true)?;
    let hex = |bytes: Option<Vec<u8>>| -> String {
        bytes.unwrap_or_default().iter().skip(16).map(|byte| format!("{byte:02x}")).collect()
    };
    let cause = "it was linked again: the identifier is the digest of what the linker saw, or random";
    Some(inside("ELF, build identifier", hex(content(a, x)), hex(content(b, y)), cause))
}

const BUILD_ID: &str = ".note.gnu.build-id";

struct ElfSection {
    name: String,
    start: usize,
    len: usize,
}

fn sections(elf: &[u8]) -> Option<Vec<ElfSection>> {
    // ELFCLASS64, ELFDATA2LSB.
    (elf.get(..6)? == b"\x7fELF\x02\x01").then_some(())?;
    let word = |at: usize| Some(u64::from_le_bytes(elf.get(at..at.checked_add(8)?)?.try_into().ok()?) as usize);
    let short = |at: usize| Some(usize::from(u16::from_le_bytes(elf.get(at..at.checked_add(2)?)?.try_into().ok()?)));
    let int = |at: usize| Some(u32::from_le_bytes(elf.get(at..at.checked_add(4)?)?.try_into().ok()?) as usize);
    let (table, size, count, names) = (word(0x28)?, short(0x3a)?, short(0x3c)?, short(0x3e)?);
    let header = |n: usize| table.checked_add(n.checked_mul(size)?);
    let strings = word(header(names)?.checked_add(0x18)?)?;
    let section = |n: usize| {
        let at = header(n)?;
        let name = elf.get(strings.checked_add(int(at)?)?..)?;
        let name = String::from_utf8_lossy(name.split(|&byte| byte == 0).next()?).into_owned();
        // SHT_NOBITS takes no bytes of the file.
        let len = if int(at.checked_add(4)?)? == 8 { 0 } else { word(at.checked_add(0x20)?)? };
        Some(ElfSection { name, start: word(at.checked_add(0x18)?)?, len })
    };
    (0..count).map(section).collect()
}

#[cfg(test)]
mod tests {
    use super::super::difference;

    /// An ELF file with nothing but sections: their names and contents.
    fn elf(sections: &[(&str, &[u8])]) -> Vec<u8> {
        let mut out = vec![0; 64];
        out[..6].copy_from_slice(b"\x7fELF\x02\x01");
        let (mut strings, mut headers) = (vec![0], Vec::new());
        let all = sections.iter().copied().chain([(".shstrtab", &b""[..])]);
        for (name, content) in all {
            let named = strings.len() as u32;
            strings.extend(name.bytes().chain([0]));
            headers.push((named, out.len() as u64, content.len() as u64));
            out.extend(content);
        }
        headers.last_mut().unwrap().1 = out.len() as u64;
        out.extend(&strings);
        let table = out.len() as u64;
        for (name, start, len) in &headers {
            let mut header = vec![0u8; 64];
            header[..4].copy_from_slice(&name.to_le_bytes());
            header[4..8].copy_from_slice(&1u32.to_le_bytes());
            header[0x18..0x20].copy_from_slice(&start.to_le_bytes());
            header[0x20..0x28].copy_from_slice(&len.to_le_bytes());
            out.extend(header);
        }
        out[0x28..0x30].copy_from_slice(&table.to_le_bytes());
        out[0x3a..0x3c].copy_from_slice(&64u16.to_le_bytes());
        out[0x3c..0x3e].copy_from_slice(&(headers.len() as u16).to_le_bytes());
        out[0x3e..0x40].copy_from_slice(&(headers.len() as u16 - 1).to_le_bytes());
        out
    }

    #[test]
    fn a_section_is_named_and_the_identifier_only_alone() {
        let note = |last: u8| [&[4, 0, 0, 0, 20, 0, 0, 0, 3, 0, 0, 0, b'G', b'N', b'U', 0][..], &[last; 20]].concat();
        let good = elf(&[(".text", b"code"), (".note.gnu.build-id", &note(1))]);
        let both = difference(&good, &elf(&[(".text", b"cede"), (".note.gnu.build-id", &note(2))]));
        assert_eq!(both.what, "ELF, section .text, byte 1");
        let identifier = difference(&good, &elf(&[(".text", b"code"), (".note.gnu.build-id", &note(2))]));
        assert_eq!(
            (identifier.what.as_str(), identifier.before.as_str()),
            ("ELF, build identifier", &*"01".repeat(20))
        );
        assert_eq!(difference(&good, &elf(&[(".text", b"code")])).what, "ELF, sections");
        // Cut short, it is told by its byte, and nothing panics.
        (0..good.len()).for_each(|len| drop(difference(&good, &good[..len])));
    }
}
