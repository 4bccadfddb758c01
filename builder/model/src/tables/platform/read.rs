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
    })
}

/// The table that says this; none for a virtual machine.
pub(crate) fn written(platform: &Platform) -> Option<Written> {
    let table = Written::default()
        .with("kind", word(&platform.kind))
        .list("firmware", &platform.firmware)
        .with("microcode", platform.microcode);
    (!platform.is_vm()).then_some(table)
}
