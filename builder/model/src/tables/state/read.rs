//! `[state]`.

use crate::Result;
use crate::profile::{
    field::*,
    section::Section,
    values,
    written::{self, Written, word},
};
use crate::recipe::*;
use crate::tables::image::read::amount;

pub(crate) const STATE: &[Field] = &[
    choice("disk", DISK, "the disk that /var is on").or_text("same"),
    choice("encryption", ENCRYPTION, "how /var is encrypted; fixed when the first boot makes it").or_text("none"),
    choice("filesystem", FILESYSTEM, "what /var is made with; fixed when the first boot makes it").or_text("ext4"),
    text("minimum", &values::SIZE, "smallest size of /var; it grows to the end of the disk")
        .or_said("`256M`; `512M` on xfs and btrfs"),
    texts("volatile", &values::VAR_PATH, "directories below /var that are memory instead, empty at every boot"),
];
const DISK: &[(&str, &str)] = &[
    ("same", "the image's own, behind its partitions"),
    ("own", "another one: the only other disk of the machine that is empty, or that holds this image's /var already"),
];

const ENCRYPTION: &[(&str, &str)] = &[
    ("none", "not at all"),
    ("tpm2", "LUKS2, with a key that the machine's TPM 2.0 keeps; a machine without one does not start"),
];
const FILESYSTEM: &[(&str, &str)] =
    &[("ext4", "ext4"), ("xfs", "XFS, 320 MiB or larger"), ("btrfs", "Btrfs, 288 MiB or larger")];

pub(crate) fn state(top: &Section) -> Result<State> {
    let t = top.table_or_empty("state")?;
    let volatile = t.texts("volatile")?;
    for (i, one) in volatile.iter().enumerate() {
        let inside = |o: &&crate::profile::section::At<String>| one.value.starts_with(&format!("{}/", o.value));
        if let Some(other) = volatile.iter().take(i).chain(volatile.iter().skip(i + 1)).find(inside) {
            let what = format!("`{}` is volatile already", one.value);
            return Err(t.files.error(one.span, what).because(format!("`{}` is, with all below it", other.value)));
        }
    }
    let volatile = volatile.into_iter().map(|v| v.value).collect();
    let disk = if t.needed("disk")?.value == "own" { StateDisk::Own } else { StateDisk::Same };
    let encryption = if t.needed("encryption")?.value == "tpm2" { Encryption::Tpm2 } else { Encryption::None };
    let filesystem = match &*t.needed("filesystem")?.value {
        "xfs" => FileSystem::Xfs,
        "btrfs" => FileSystem::Btrfs,
        _ => FileSystem::Ext4,
    };
    let minimum = match t.text("minimum")? {
        Some(_) => amount(&t, "minimum", FileSystem::Ext4.least())?,
        None if filesystem == FileSystem::Ext4 => 256 << 20,
        None => 512 << 20,
    };
    Ok(State { disk, encryption, filesystem, minimum, volatile })
}

/// The table that says this.
pub(crate) fn written(state: &State) -> Written {
    Written::default()
        .with("disk", word(&state.disk))
        .with("encryption", word(&state.encryption))
        .with("filesystem", state.filesystem.name())
        .with("minimum", written::amount(state.minimum))
        .list("volatile", &state.volatile)
}
