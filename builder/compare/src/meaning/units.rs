//! Units and whether something starts them: of images from the unit files and the links that enable them, systemd.unit(5); of
//! recipes from `[services]` and `[containers]`.

use crate::{ValueChange, changes};
use diorite_image::read::{ImageFileKind, ImageReader};
use diorite_model::{Recipe, Result};
use std::collections::{BTreeMap, BTreeSet};

const DIRECTORIES: [&[u8]; 3] = [b"usr/lib/systemd/system/", b"etc/systemd/system/", b"etc/containers/systemd/"];

/// The units of two roots that differ.
///
/// # Errors
/// None today; reading a root may have some.
pub fn of_images(a: &ImageReader, b: &ImageReader) -> Result<Vec<ValueChange>> {
    let of = |image: &ImageReader| {
        let masked = |kind: &ImageFileKind| matches!(kind, ImageFileKind::Symlink(to) if to == b"/dev/null");
        units(image.files.iter().map(|(path, file)| (path.as_slice(), masked(&file.kind))))
    };
    Ok(changes(&of(a), &of(b)))
}

/// Paths of a root, and whether each is a link to /dev/null → units and their states.
fn units<'a>(paths: impl Iterator<Item = (&'a [u8], bool)>) -> BTreeMap<String, String> {
    let (mut all, mut enabled, mut masks) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for (path, masked) in paths {
        let Some(rest) = DIRECTORIES.iter().find_map(|directory| path.strip_prefix(*directory)) else { continue };
        let rest = String::from_utf8_lossy(rest).into_owned();
        match rest.split_once('/') {
            Some((by, unit)) if by.ends_with(".wants") || by.ends_with(".requires") => {
                enabled.insert(unit.to_owned());
            }
            Some(_) => {}
            None if rest.ends_with(".wants") || rest.ends_with(".requires") || rest.ends_with(".d") => {}
            None => {
                // A container's unit is generated from its description at boot, and starts by that.
                if let Some(name) = rest.strip_suffix(".container") {
                    enabled.insert(format!("{name}.service"));
                    all.insert(format!("{name}.service"));
                    continue;
                }
                if masked {
                    masks.insert(rest.clone());
                }
                all.insert(rest);
            }
        }
    }
    let state = |unit: &String| match (masks.contains(unit), enabled.contains(unit)) {
        (true, _) => "masked",
        (_, true) => "enabled",
        _ => "there",
    };
    all.iter().map(|unit| (unit.clone(), state(unit).to_owned())).collect()
}

/// The units that two recipes name and that differ.
pub fn of_recipes(a: &Recipe, b: &Recipe) -> Vec<ValueChange> {
    let of = |recipe: &Recipe| -> BTreeMap<String, String> {
        let services = &recipe.services;
        let said =
            |list: &[String], word: &str| list.iter().map(|unit| (unit.clone(), word.to_owned())).collect::<Vec<_>>();
        let own = services.units.keys().map(|name| (format!("{name}.service"), "enabled".to_owned()));
        let containers = recipe.containers.keys().map(|name| (format!("{name}.service"), "enabled".to_owned()));
        let switched = [(&services.enable, "enabled"), (&services.disable, "disabled"), (&services.mask, "masked")];
        let switched = switched.into_iter().flat_map(|(list, word)| said(list, word));
        switched.chain(own).chain(containers).collect()
    };
    changes(&of(a), &of(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_there_enabled_or_masked() {
        let paths = [
            ("usr/lib/systemd/system/a.service", false),
            ("usr/lib/systemd/system/b.timer", false),
            ("usr/lib/systemd/system/b.timer.d", false),
            ("usr/lib/systemd/system/b.timer.d/x.conf", false),
            ("etc/systemd/system/multi-user.target.wants", false),
            ("etc/systemd/system/multi-user.target.wants/a.service", false),
            ("etc/systemd/system/c.service", true),
            ("etc/containers/systemd/web.container", false),
            ("usr/lib/other", false),
        ];
        let units = units(paths.iter().map(|(path, masked)| (path.as_bytes(), *masked)));
        let said: Vec<_> = units.iter().map(|(unit, state)| format!("{unit} {state}")).collect();
        assert_eq!(said, ["a.service enabled", "b.timer there", "c.service masked", "web.service enabled"]);
    }
}
