//! What an ELF file needs at run time: its interpreter, the libraries its dynamic section names, and the libraries
//! it opens by itself with dlopen(3) as far as it says so in `.note.dlopen`.
//!
//! Sources: System V ABI, "Object Files" and "Dynamic Linking" (elf(5)); the note is specified by the UAPI group,
//! "Specification for ELF dlopen() Metadata". Only little-endian 64-bit files are read: no other kind is in an image.

use diorite_model::{Error, Result};
use serde::Deserialize;

/// Program header types, elf(5).
const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;
const PT_LOAD: u32 = 1;
const PT_NOTE: u32 = 4;
/// Dynamic section tags, elf(5).
const DT_NULL: u64 = 0;
const DT_NEEDED: u64 = 1;
const DT_STRTAB: u64 = 5;
const DT_RPATH: u64 = 15;
const DT_RUNPATH: u64 = 29;
/// Note type of dlopen metadata, owner `FDO`.
const NT_FDO_DLOPEN: u32 = 0x407c_0c0a;

/// What one ELF file asks for.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct ElfNeeds {
    /// The program interpreter, an absolute path; none for libraries and static programs.
    pub interpreter: Option<String>,
    /// Names of DT_NEEDED, in order.
    pub libraries: Vec<String>,
    /// Directories of DT_RUNPATH (or DT_RPATH), `$ORIGIN` not expanded.
    pub run_path: Vec<String>,
    /// Libraries opened on demand.
    pub dlopen: Vec<Dlopen>,
}

/// One entry of the dlopen note.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Dlopen {
    /// The feature it is for, `kmod`.
    #[serde(default)]
    pub feature: String,
    /// `required`, `recommended` or `suggested`; `recommended` when not said.
    #[serde(default = "recommended")]
    pub priority: String,
    /// Alternatives, the preferred one first.
    pub soname: Vec<String>,
}

fn recommended() -> String {
    "recommended".to_owned()
}

/// A program header.
struct LoadSegment {
    kind: u32,
    offset: u64,
    address: u64,
    size: u64,
    align: u64,
}

/// Whether these bytes begin as an ELF file does.
pub fn is_elf(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x7fELF")
}

/// Reads what an ELF file needs. Errors (without a place; the caller knows the path) when it is cut short or is not a
/// little-endian 64-bit file.
pub fn needs(bytes: &[u8]) -> Result<ElfNeeds> {
    if !is_elf(bytes) || bytes.get(4..6) != Some(&[2, 1]) {
        return Err(Error::input("a program is not a little-endian 64-bit ELF file"));
    }
    let segments = segments(bytes)?;
    let mut needs = ElfNeeds::default();
    for segment in &segments {
        match segment.kind {
            PT_INTERP => {
                let text = slice(bytes, segment.offset, segment.size)?;
                needs.interpreter = Some(c_string(text)?);
            }
            PT_DYNAMIC => dynamic(bytes, segment, &segments, &mut needs)?,
            PT_NOTE => notes(slice(bytes, segment.offset, segment.size)?, segment.align, &mut needs.dlopen)?,
            _ => {}
        }
    }
    Ok(needs)
}

fn segments(bytes: &[u8]) -> Result<Vec<LoadSegment>> {
    let offset = u64_at(bytes, 32)?;
    let size = u64::from(u16_at(bytes, 54)?);
    let count = u64::from(u16_at(bytes, 56)?);
    if count > 0 && size < 56 {
        return Err(damaged("its program headers are too small"));
    }
    (0..count)
        .map(|i| {
            let at = i * size;
            let header = slice(bytes, offset.checked_add(at).ok_or_else(|| damaged("a table lies outside it"))?, 56)?;
            Ok(LoadSegment {
                kind: u32_at(header, 0)?,
                offset: u64_at(header, 8)?,
                address: u64_at(header, 16)?,
                size: u64_at(header, 32)?,
                align: u64_at(header, 48)?,
            })
        })
        .collect()
}

fn dynamic(bytes: &[u8], segment: &LoadSegment, segments: &[LoadSegment], needs: &mut ElfNeeds) -> Result<()> {
    let table = slice(bytes, segment.offset, segment.size)?;
    let entries: Vec<(u64, u64)> = table
        .chunks_exact(16)
        .map(|e| Ok((u64_at(e, 0)?, u64_at(e, 8)?)))
        .take_while(|e| !matches!(e, Ok((DT_NULL, _))))
        .collect::<Result<_>>()?;
    let Some(&(_, strings)) = entries.iter().find(|e| e.0 == DT_STRTAB) else { return Ok(()) };
    // The string table is named by its address; the loadable segment around it says where it is in the file.
    let home = segments
        .iter()
        .find(|s| s.kind == PT_LOAD && strings >= s.address && strings - s.address < s.size)
        .ok_or_else(|| damaged("its string table is in no segment"))?;
    let offset = strings - home.address;
    let strings = slice(bytes, home.offset + offset, home.size - offset)?;
    let name = |at: u64| -> Result<String> {
        let at = usize::try_from(at).map_err(|_| damaged("a name lies outside it"))?;
        c_string(strings.get(at..).ok_or_else(|| damaged("a name lies outside it"))?)
    };
    for &(tag, value) in &entries {
        match tag {
            DT_NEEDED => needs.libraries.push(name(value)?),
            DT_RUNPATH | DT_RPATH => {
                needs.run_path.extend(name(value)?.split(':').filter(|p| !p.is_empty()).map(str::to_owned));
            }
            _ => {}
        }
    }
    Ok(())
}

fn notes(mut bytes: &[u8], align: u64, found: &mut Vec<Dlopen>) -> Result<()> {
    // Descriptions are padded to the segment's alignment: 4, or 8 for `.note.gnu.property`.
    let pad = |n: usize| if align == 8 { n.next_multiple_of(8) } else { n.next_multiple_of(4) };
    while bytes.len() >= 12 {
        let (owner_size, size, kind) = (u32_at(bytes, 0)? as usize, u32_at(bytes, 4)? as usize, u32_at(bytes, 8)?);
        let start = 12 + owner_size.next_multiple_of(4);
        let start = if align == 8 { start.next_multiple_of(8) } else { start };
        let (Some(owner), Some(description)) = (bytes.get(12..12 + owner_size), bytes.get(start..start + size)) else {
            return Err(damaged("a note is cut short"));
        };
        if kind == NT_FDO_DLOPEN && owner == b"FDO\0" {
            let text = description.split(|&b| b == 0).next().unwrap_or_default();
            let entries: Vec<Dlopen> =
                serde_json::from_slice(text).map_err(|e| damaged("its dlopen note is not valid").because(e))?;
            found.extend(entries);
        }
        bytes = bytes.get(pad(start + size)..).unwrap_or_default();
    }
    Ok(())
}

fn damaged(why: &str) -> Error {
    Error::input("an ELF file is damaged").because(why)
}

fn slice(bytes: &[u8], offset: u64, size: u64) -> Result<&[u8]> {
    usize::try_from(offset)
        .ok()
        .zip(usize::try_from(size).ok())
        .and_then(|(o, s)| bytes.get(o..o.checked_add(s)?))
        .ok_or_else(|| damaged("a part lies outside the file"))
}

fn c_string(bytes: &[u8]) -> Result<String> {
    let end = bytes.iter().position(|&b| b == 0).ok_or_else(|| damaged("a name has no end"))?;
    String::from_utf8(bytes[..end].to_vec()).map_err(|_| damaged("a name is not UTF-8"))
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16> {
    array(bytes, at).map(u16::from_le_bytes)
}
fn u32_at(bytes: &[u8], at: usize) -> Result<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}
fn u64_at(bytes: &[u8], at: usize) -> Result<u64> {
    array(bytes, at).map(u64::from_le_bytes)
}
fn array<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N]> {
    bytes.get(at..at + N).and_then(|b| b.try_into().ok()).ok_or_else(|| damaged("it ends too early"))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A minimal ELF file made field by field: one load segment over everything, dynamic section and dlopen note.
    pub(crate) fn sample(libraries: &[&str], note: Option<&str>) -> Vec<u8> {
        let mut strings = vec![0u8];
        let mut dynamic = Vec::new();
        for l in libraries {
            dynamic.extend([DT_NEEDED, strings.len() as u64].map(u64::to_le_bytes).concat());
            strings.extend(l.as_bytes());
            strings.push(0);
        }
        let header = 64 + 3 * 56;
        let at_dynamic = header as u64;
        let dynamic_size = dynamic.len() as u64 + 32;
        let at_strings = at_dynamic + dynamic_size;
        dynamic.extend([DT_STRTAB, at_strings + 0x1000].map(u64::to_le_bytes).concat());
        dynamic.extend([0u8; 16]);
        let mut notes = Vec::new();
        if let Some(text) = note {
            notes.extend([4u32, text.len() as u32 + 1, NT_FDO_DLOPEN].map(u32::to_le_bytes).concat());
            notes.extend(b"FDO\0");
            notes.extend(text.as_bytes());
            notes.push(0);
            notes.resize(notes.len().next_multiple_of(4), 0);
        }
        let at_notes = (at_strings + strings.len() as u64).next_multiple_of(4);
        let total = at_notes + notes.len() as u64;
        let mut file = b"\x7fELF\x02\x01\x01".to_vec();
        file.resize(64, 0);
        file[32..40].copy_from_slice(&64u64.to_le_bytes());
        file[54..56].copy_from_slice(&56u16.to_le_bytes());
        file[56..58].copy_from_slice(&3u16.to_le_bytes());
        for (kind, offset, size) in
            [(PT_LOAD, 0, total), (PT_DYNAMIC, at_dynamic, dynamic_size), (PT_NOTE, at_notes, notes.len() as u64)]
        {
            file.extend(kind.to_le_bytes());
            file.extend(4u32.to_le_bytes());
            for value in [offset, offset + 0x1000, offset + 0x1000, size, size, 4] {
                file.extend(value.to_le_bytes());
            }
        }
        file.extend(dynamic);
        file.extend(strings);
        file.resize(at_notes as usize, 0);
        file.extend(notes);
        file
    }

    #[test]
    fn reads_libraries_and_dlopen_note() {
        let note = r#"[{"feature":"kmod","priority":"recommended","soname":["libkmod.so.2"]}]"#;
        let needs = needs(&sample(&["libc.so.6", "libm.so.6"], Some(note))).unwrap();
        assert_eq!(needs.libraries, ["libc.so.6", "libm.so.6"]);
        assert_eq!(needs.dlopen.len(), 1);
        assert_eq!((needs.dlopen[0].feature.as_str(), needs.dlopen[0].soname[0].as_str()), ("kmod", "libkmod.so.2"));
    }

    #[test]
    fn a_file_cut_anywhere_is_an_error_and_never_a_panic() {
        let whole = sample(&["libc.so.6"], Some(r#"[{"soname":["libx.so.1"]}]"#));
        let expected = needs(&whole).unwrap();
        for end in 0..whole.len() - 4 {
            if let Ok(found) = needs(&whole[..end]) {
                assert_ne!(found, expected, "cut at {end}");
            }
        }
    }

    #[test]
    fn reads_the_program_that_runs_this_test() {
        let own = std::fs::read("/proc/self/exe").unwrap();
        assert!(needs(&own).unwrap().libraries.is_empty(), "tests are linked statically");
    }
}
