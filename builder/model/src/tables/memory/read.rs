//! `[memory]`.

use crate::Result;
use crate::profile::{
    field::*,
    section::Section,
    values,
    written::{self, Written},
};
use crate::recipe::*;
use crate::tables::image::read::amount;

pub(crate) const MEMORY: &[Field] = &[
    text("swap", &values::SIZE, "size of a swap file on state, made at the first boot").or_said("none"),
    text(
        "zram",
        &values::SIZE,
        "size of a swap device in memory, compressed: what is put there takes about a third of it",
    )
    .or_said("none"),
];

/// mkswap(8) refuses less than ten pages, and nobody means it.
const LEAST: u64 = 16 << 20;

pub(crate) fn memory(top: &Section) -> Result<Memory> {
    let t = top.table_or_empty("memory")?;
    let size = |key| Ok(if t.key(key).is_some() { Some(amount(&t, key, LEAST)?) } else { None });
    Ok(Memory { swap: size("swap")?, zram: size("zram")? })
}

/// The table that says this.
pub(crate) fn written(memory: &Memory) -> Written {
    Written::default().maybe("swap", memory.swap.map(written::amount)).maybe("zram", memory.zram.map(written::amount))
}
