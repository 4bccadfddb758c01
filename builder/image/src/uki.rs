//! Kernel, initrd and command line → unified kernel image: one EFI program.
//!
//! Sources: UAPI group, "Unified Kernel Image (UKI)" specification; systemd-stub(7). The sections stand in the order
//! in which ukify(1) writes them, so that one tool's image can be compared with the other's byte by byte.

use crate::initrd::Initrd;
use crate::kernel::KernelImage;
use crate::pe::Pe;
use diorite_model::{Error, Result};

/// The first line of every SBAT section (shim's SBAT.md) and the line every unified kernel image adds.
const SBAT_HEAD: &str = "sbat,1,SBAT Version,sbat,1,https://github.com/rhboot/shim/blob/main/SBAT.md";
const SBAT_UKI: &str = "uki,1,UKI,uki,1,https://uapi-group.org/specifications/specs/unified_kernel_image/";

/// What a unified kernel image is made of.
pub struct UkiParts<'a> {
    /// systemd's `linuxx64.efi.stub`, unsigned.
    pub stub: &'a [u8],
    /// The kernel, itself an EFI program (`bzImage`).
    pub kernel: &'a KernelImage<'a>,
    /// The initrd, made from the same tree as the kernel.
    pub initrd: &'a Initrd,
    /// The kernel's command line, without a newline.
    pub cmdline: &'a str,
    /// The image's os-release(5): the boot menu takes title and version from it.
    pub os_release: &'a [u8],
    /// A BMP picture shown while booting.
    pub splash: Option<&'a [u8]>,
}

/// A unified kernel image. Only this file makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uki(Vec<u8>);

impl Uki {
    /// The EFI program.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
    /// The same, to be signed.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// Joins the parts. The same parts give the same bytes. Errors when stub or kernel are not what they should be, when
/// the command line holds control characters, or when the stub's header has no room for the sections.
pub fn assemble(parts: &UkiParts) -> Result<Uki> {
    if let Some(c) = parts.cmdline.chars().find(|c| c.is_control()) {
        return Err(Error::input(format!("the kernel command line holds the control character {c:?}"))
            .hint("see `kernel.command_line` in the profile"));
    }
    let mut uki =
        Pe::parse(parts.stub.to_vec()).map_err(|e| e.at("systemd's EFI stub, from package systemd-boot-efi"))?;
    if uki.is_signed()? {
        return Err(Error::input("systemd's EFI stub is already signed")
            .because("changing it would break the signature")
            .hint("take linuxx64.efi.stub, not a signed copy of it"));
    }
    let kernel = Pe::parse(parts.kernel.program().to_vec()).map_err(|e| e.at("the kernel"))?;
    let sbat = merged_sbat(&[&uki, &kernel])?;
    // Firmware that enforces it wants the same promise from the whole as from the part that runs last.
    if !kernel.nx_compatible()? {
        uki.clear_nx_compatible()?;
    }
    let mut put =
        |name: &str, data: &[u8]| if data.is_empty() { Ok(()) } else { uki.append(name, data, name == ".linux") };
    put(".osrel", parts.os_release)?;
    put(".cmdline", parts.cmdline.as_bytes())?;
    put(".uname", parts.kernel.release().as_bytes())?;
    put(".splash", parts.splash.unwrap_or_default())?;
    put(".linux", parts.kernel.program())?;
    put(".initrd", parts.initrd.bytes())?;
    if uki.section(".sbat")?.is_some() {
        uki.replace(".sbat", sbat.as_bytes())?;
    } else {
        uki.append(".sbat", sbat.as_bytes(), false)?;
    }
    uki.finish().map(Uki)
}

/// The revocation lines of all parts under one heading.
fn merged_sbat(programs: &[&Pe]) -> Result<String> {
    let mut lines = vec![SBAT_HEAD.to_owned()];
    for program in programs {
        let Some(section) = program.section(".sbat")? else { continue };
        let text = String::from_utf8_lossy(section);
        let text = text.trim_end_matches('\0');
        if text.starts_with("sbat,") {
            lines.extend(text.lines().skip(1).map(str::to_owned));
        }
    }
    lines.push(SBAT_UKI.to_owned());
    Ok(lines.join("\n") + "\n\0")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pe::tests::sample;

    const STUB_SBAT: &[u8] = b"sbat,1,SBAT Version,sbat,1,x\nstub,1,s,s,1,y\n";

    fn with(stub: &[u8], kernel: &[u8], cmdline: &str) -> Result<Uki> {
        assemble(&UkiParts {
            stub,
            kernel: &KernelImage::of("6.12", kernel),
            initrd: &Initrd::of(b"initrd".to_vec()),
            cmdline,
            os_release: b"ID=debian\n",
            splash: None,
        })
    }

    #[test]
    fn has_every_part_in_ukify_order() {
        let (stub, kernel) = (sample(8, STUB_SBAT, true), sample(0, b"", false));
        let bytes = with(&stub, &kernel, "roothash=00 ro").unwrap();
        let uki = Pe::parse(bytes.bytes().to_vec()).unwrap();
        let names: Vec<_> = uki.sections().unwrap().into_iter().map(|s| s.name).collect();
        assert_eq!(names, [".text", ".sbat", ".osrel", ".cmdline", ".uname", ".linux", ".initrd"]);
        assert_eq!(uki.section(".linux").unwrap().unwrap(), kernel);
        let sbat = String::from_utf8_lossy(uki.section(".sbat").unwrap().unwrap()).into_owned();
        assert_eq!(sbat, format!("{SBAT_HEAD}\nstub,1,s,s,1,y\n{SBAT_UKI}\n\0"));
        assert!(!uki.nx_compatible().unwrap(), "the kernel's missing promise counts for the whole");
        assert_eq!(with(&stub, &kernel, "roothash=00 ro").unwrap(), bytes);
    }

    #[test]
    fn refuses_what_is_not_a_program_and_a_line_break() {
        let stub = sample(8, STUB_SBAT, true);
        assert!(with(&stub, b"no kernel", "").unwrap_err().to_string().contains("the kernel"));
        assert!(with(b"no stub", &stub, "").unwrap_err().to_string().contains("systemd-boot-efi"));
        assert!(with(&stub, &stub, "ro\ninit=/bin/sh").unwrap_err().to_string().contains("'\\n'"));
    }
}
