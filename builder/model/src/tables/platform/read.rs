//! `[platform]`.

use crate::Result;
use crate::profile::{
    field::*,
    section::Section,
    values,
    written::{Written, word},
};
use crate::recipe::*;

pub(crate) const PLATFORM: &[Field] = &[
    choice("kind", KINDS, "what kind of machine the image starts on").or_said("`vm`"),
    texts("firmware", &values::PACKAGE, "packages with firmware of a physical machine's devices"),
    boolean("microcode", "whether processors of Intel and AMD get the microcode that Debian has for them")
        .or_said("true on a physical machine"),
    table("installer", INSTALLER, "the disk that an installer (`--format installer`) takes without asking"),
];
const INSTALLER: &[Field] = &[
    boolean("only_disk", "the only disk besides the installer's own"),
    text("serial", &values::SERIAL, "the disk with this serial number"),
    boolean("overwrite", "also when something is on it").or(false),
];
const KINDS: &[(&str, &str)] =
    &[("vm", "a virtual machine"), ("metal", "a physical machine: the kernel with every driver Debian has")];

pub(crate) fn platform(top: &Section) -> Result<Platform> {
    let t = top.table_or_empty("platform")?;
    let metal = t.text("kind")?.is_some_and(|kind| kind.value == "metal");
    let (firmware, microcode) = (t.plain("firmware")?, t.boolean("microcode")?);
    Ok(Platform {
        kind: if metal { PlatformKind::Metal } else { PlatformKind::Vm },
        firmware,
        microcode: microcode.unwrap_or(metal),
        installer: t.table("installer")?.map(|t| installer(&t)).transpose()?,
    })
}

fn installer(t: &Section) -> Result<InstallerRule> {
    let disk = match (t.boolean("only_disk")?.unwrap_or_default(), t.text("serial")?) {
        (true, None) => InstallerDisk::Only,
        (false, Some(serial)) => InstallerDisk::Serial(serial.value),
        (only, _) => {
            let what = if only { "has `only_disk` and `serial`" } else { "names no disk" };
            let error = t.files.error(t.span, format!("`{}` {what}", t.path));
            return Err(
                error.hint("write `only_disk = true`, or `serial = \"…\"`; without the table a person is asked")
            );
        }
    };
    Ok(InstallerRule { disk, overwrite: t.flag("overwrite")? })
}

fn installer_written(rule: &InstallerRule) -> Written {
    let table = match &rule.disk {
        InstallerDisk::Only => Written::default().with("only_disk", true),
        InstallerDisk::Serial(serial) => Written::default().with("serial", &**serial),
    };
    table.with("overwrite", rule.overwrite)
}

/// The table that says this; none for a virtual machine.
pub(crate) fn written(platform: &Platform) -> Option<Written> {
    let table = Written::default()
        .with("kind", word(&platform.kind))
        .list("firmware", &platform.firmware)
        .with("microcode", platform.microcode)
        .maybe("installer", platform.installer.as_ref().map(installer_written));
    (!platform.is_vm()).then_some(table)
}
