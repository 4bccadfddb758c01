//! Extended attributes behind an inode: `erofs_xattr_ibody_header`, then an `erofs_xattr_entry` for each.

use std::collections::BTreeMap;

/// `erofs_xattr_ibody_header`: name filter, count of shared attributes (none), reserved.
const HEADER: usize = 12;

/// An attribute that the format cannot hold, and why.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::filesystem) struct XattrError {
    pub name: Vec<u8>,
    pub because: &'static str,
}

/// `EROFS_XATTR_INDEX_*`: the number that stands for the name's beginning, and what is left of the name.
fn split(name: &[u8]) -> Option<(u8, &[u8])> {
    match name {
        b"system.posix_acl_access" => Some((2, b"")),
        b"system.posix_acl_default" => Some((3, b"")),
        _ => [(1, "user."), (4, "trusted."), (6, "security.")]
            .into_iter()
            .find_map(|(index, prefix)| Some((index, name.strip_prefix(prefix.as_bytes())?)))
            .filter(|(_, rest)| !rest.is_empty()),
    }
}

/// The bytes that follow the inode; empty for no attributes. Values of ACLs are stored as the kernel hands them out.
pub(in crate::filesystem) fn encode(xattrs: &BTreeMap<Vec<u8>, Vec<u8>>) -> Result<Vec<u8>, XattrError> {
    if xattrs.is_empty() {
        return Ok(Vec::new());
    }
    let mut out = vec![0; HEADER];
    for (name, value) in xattrs {
        let refused = |because| XattrError { name: name.clone(), because };
        let (index, rest) =
            split(name).ok_or_else(|| refused("only user.*, trusted.*, security.* and POSIX ACLs can be stored"))?;
        let name_len = u8::try_from(rest.len()).map_err(|_| refused("the name is longer than 255 bytes"))?;
        let value_len = u16::try_from(value.len()).map_err(|_| refused("the value is longer than 65,535 bytes"))?;
        out.extend([name_len, index]);
        out.extend(value_len.to_le_bytes());
        out.extend(rest);
        out.extend(value);
        out.resize(out.len().next_multiple_of(4), 0);
        if (out.len() - HEADER) / 4 >= usize::from(u16::MAX) {
            return Err(refused("all attributes of one file together are longer than 262,136 bytes"));
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(list: &[(&str, usize)]) -> BTreeMap<Vec<u8>, Vec<u8>> {
        list.iter().map(|&(name, len)| (name.as_bytes().to_vec(), vec![7; len])).collect()
    }

    #[test]
    fn an_entry_is_padded_to_four_bytes() {
        let bytes = encode(&of(&[("user.a", 2), ("security.capability", 0)])).unwrap();
        assert_eq!(bytes[12..], *b"\x0a\x06\0\0capability\0\0\x01\x01\x02\0a\x07\x07\0");
        assert_eq!(encode(&of(&[])).unwrap(), b"");
    }

    #[test]
    fn the_limits() {
        let refused = |list: &[(&str, usize)]| encode(&of(list)).unwrap_err().because;
        let long = format!("user.{}", "x".repeat(256));
        assert!(refused(&[("system.nfs4_acl", 1)]).starts_with("only user"));
        assert!(refused(&[("user.", 1)]).starts_with("only user"));
        assert!(refused(&[(&long, 1)]).contains("255"));
        assert!(refused(&[("user.a", 65536)]).contains("65,535"));
        let most = [("user.a", 65535), ("user.b", 65535), ("user.c", 65535), ("user.d", 65535 - 24)];
        assert_eq!(encode(&of(&most)).unwrap().len(), HEADER + 65534 * 4);
        assert!(refused(&[&most[..], &[("user.e", 0)]].concat()).contains("262,136"));
    }
}
