//! `[access]`.

use super::*;
use crate::Digest;
use std::collections::BTreeMap;

pub(super) const ACCESS: &[Field] = &[named("administrators", &values::USER, ADMINISTRATOR, "people by login name")];
const ADMINISTRATOR: &[Field] = &[
    texts("ssh_keys", &values::SSH_KEY, "OpenSSH public keys, one at least: nothing else lets anybody in").needed(),
    integer("uid", 1000, 59_999, "number of the account and of its group").or_said("derived from the name"),
];

/// Numbers of accounts whose profile names none: the same name has the same number in every version of an image,
/// whoever else comes or goes, because the files of its owner outlive the image.
fn derived_uid(name: &str) -> u32 {
    let digest = Digest::of(name.as_bytes()).0;
    20_000 + u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]) % 30_000
}

pub(super) fn access(top: &Section) -> Result<Access> {
    let mut access = Access::default();
    let mut numbers: BTreeMap<u32, String> = BTreeMap::new();
    for (name, a) in top.table_or_empty("access")?.named("administrators")? {
        let ssh_keys = a.plain("ssh_keys")?;
        if ssh_keys.is_empty() {
            return Err(a.missing("ssh_keys"));
        }
        let named = a.number("uid")?;
        let uid = named.as_ref().map_or_else(|| derived_uid(&name), |n| n.value);
        if let Some(other) = numbers.insert(uid, name.clone()) {
            let place = named.map_or(a.span, |n| n.span);
            let error = a.files.error(place, format!("`{name}` and `{other}` have the same number, {uid}"));
            return Err(error.hint("give one of them another `uid`"));
        }
        access.administrators.insert(name, Administrator { ssh_keys, uid });
    }
    Ok(access)
}
