//! `[state]`.

use super::image::amount;
use super::*;

pub(super) const STATE: &[Field] = &[
    choice("disk", DISK, "the disk that /var is on").or_text("same"),
    text("minimum", &values::SIZE, "smallest size of /var; it grows to the end of the disk").or_text("256M"),
    texts("volatile", &values::VAR_PATH, "folders below /var that are memory instead, empty at every boot"),
];
const DISK: &[(&str, &str)] = &[
    ("same", "the image's own, behind its partitions"),
    ("own", "another one: the only other disk of the machine that is empty, or that holds this image's /var already"),
];

pub(super) fn state(top: &Section) -> Result<State> {
    let t = top.table_or_empty("state")?;
    let volatile = t.texts("volatile")?;
    for (i, one) in volatile.iter().enumerate() {
        let inside = |o: &&super::super::section::At<String>| one.value.starts_with(&format!("{}/", o.value));
        if let Some(other) = volatile.iter().take(i).chain(volatile.iter().skip(i + 1)).find(inside) {
            let what = format!("`{}` is volatile already", one.value);
            return Err(t.files.error(one.span, what).because(format!("`{}` is, with all below it", other.value)));
        }
    }
    let volatile = volatile.into_iter().map(|v| v.value).collect();
    let disk = if t.needed("disk")?.value == "own" { StateDisk::Own } else { StateDisk::Same };
    Ok(State { disk, minimum: amount(&t, "minimum", 64 << 20)?, volatile })
}
