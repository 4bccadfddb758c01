//! `[signing]`.

use crate::Result;
use crate::profile::{
    field::*,
    section::Section,
    written::{Written, word},
};
use crate::recipe::*;

pub(crate) const SIGNING: &[Field] =
    &[choice("enroll", ENROLL, "how the firmware of a new machine gets the keys").or_text("auto")];
const ENROLL: &[(&str, &str)] = &[
    ("auto", "by the boot loader at the first start of a virtual machine whose firmware has no keys"),
    (
        "force",
        "by the boot loader on physical machines too; one whose cards bring programs signed by others may not start with it \
         again",
    ),
    ("manual", "by a person: in the menu of the boot loader, or in the firmware's setup"),
];

pub(crate) fn signing(top: &Section) -> Result<Option<Signing>> {
    let Some(t) = top.table("signing")? else { return Ok(None) };
    let enroll = match t.needed("enroll")?.value.as_str() {
        "force" => Enroll::Force,
        "manual" => Enroll::Manual,
        _ => Enroll::Auto,
    };
    Ok(Some(Signing { enroll }))
}

/// The table that says this.
pub(crate) fn written(signing: &Signing) -> Written {
    Written::default().with("enroll", word(&signing.enroll))
}
