//! The metadata of an installed Python distribution: `NAME.dist-info/METADATA`, or `NAME.egg-info` and
//! `NAME.egg-info/PKG-INFO` of older tools (Python packaging specifications, "Core metadata").

use super::DeclaredModule;
use crate::sbom::inventory::ComponentKind;
use diorite_model::python::normalized;

/// More than the headers of any distribution.
const MOST: usize = 1 << 20;

/// The distribution whose metadata this file is.
pub fn distribution(path: &[u8], bytes: &[u8]) -> Option<DeclaredModule> {
    let mut parts = path.rsplit(|&b| b == b'/');
    let (file, directory) = (parts.next()?, parts.next().unwrap_or_default());
    let metadata = match file {
        b"METADATA" => directory.ends_with(b".dist-info"),
        b"PKG-INFO" => directory.ends_with(b".egg-info"),
        file => file.ends_with(b".egg-info"),
    };
    if !metadata {
        return None;
    }
    let text = String::from_utf8_lossy(bytes.get(..MOST).unwrap_or(bytes));
    let headers = text.lines().take_while(|line| !line.trim().is_empty());
    let (mut name, mut version) = (None, None);
    for line in headers {
        match line.split_once(':') {
            Some((key, value)) if key.eq_ignore_ascii_case("Name") => name = name.or(Some(value.trim())),
            Some((key, value)) if key.eq_ignore_ascii_case("Version") => version = version.or(Some(value.trim())),
            _ => {}
        }
    }
    let name = normalized(name?).ok()?;
    Some(DeclaredModule { kind: ComponentKind::Python, name, version: version?.to_owned() })
}
