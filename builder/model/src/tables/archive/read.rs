//! `[archive]`.

use crate::Result;
use crate::profile::{field::*, section::Section, settings::Settings, values, written::Written};
use crate::recipe::*;
use std::collections::BTreeMap;

pub(crate) const ARCHIVE: &[Field] = &[
    text("suite", &values::DEBIAN_SUITE, "suite; its updates and security updates always belong to it")
        .or_text("trixie"),
    texts("components", &values::COMPONENT, "components of the archive").or_said("`main`"),
    text("architecture", &values::ARCHITECTURE, "Debian architecture").or_text("amd64"),
    texts("mirrors", &values::ARCHIVE_URI, "where the archive is, tried in this order")
        .or_said("`DIORITE_MIRROR`, or the build host's own sources"),
    text("snapshot", &values::SNAPSHOT, "where packages are that the archive has dropped, with `{timestamp}`")
        .or_said("`DIORITE_SNAPSHOT`"),
    text("wheel_index", &values::WHEEL_INDEX, "the index that wheels of `containers.NAME.wheels` are looked up in")
        .or_said("`DIORITE_WHEEL_INDEX`, or what the build host's pip is told"),
    texts("debs", &values::RELATIVE_PATH, "local .deb files, paths relative to the profile"),
    named("extra", &values::NAME, EXTRA, "further repositories by name"),
];
const EXTRA: &[Field] = &[
    text("uri", &values::ARCHIVE_URI, "where it is").needed(),
    text("suite", &values::EXTRA_SUITE, "its suite, as in sources.list(5); a slash at its end: a flat repository")
        .needed(),
    texts("components", &values::EXTRA_COMPONENT, "its components").or_said("`main`; a flat repository has none"),
    text(
        "keyring",
        &values::RELATIVE_PATH,
        "the OpenPGP keys that sign it, binary or armored; path relative to the profile",
    )
    .needed(),
    integer("priority", -32_768, 32_767, "pin priority, apt_preferences(5)").or_number(500),
];

pub(crate) fn archive(top: &Section) -> Result<(Archive, Settings)> {
    let t = top.table_or_empty("archive")?;
    let mut extra = BTreeMap::new();
    for (name, e) in t.named("extra")? {
        let suite = e.needed("suite")?.value;
        let repository = ExtraRepository {
            uri: e.needed("uri")?.value,
            components: if is_flat(&suite) { e.plain("components")? } else { components(&e)? },
            suite,
            keyring: e.needed("keyring")?.value,
            priority: e.needed_number("priority")?.value,
        };
        extra.insert(name, repository);
    }
    let archive = Archive {
        suite: t.needed("suite")?.value,
        components: components(&t)?,
        architecture: t.needed("architecture")?.value,
        extra,
        debs: t.plain("debs")?,
    };
    let settings = Settings {
        mirrors: t.plain("mirrors")?,
        snapshot: t.text("snapshot")?.map(|s| s.value),
        wheel_index: t.text("wheel_index")?.map(|s| s.value),
        checks: vec![],
        ..Settings::default()
    };
    Ok((archive, settings))
}

fn components(t: &Section) -> Result<Vec<String>> {
    let list = t.plain("components")?;
    Ok(if list.is_empty() { vec!["main".into()] } else { list })
}

/// The table that says this.
pub(crate) fn written(archive: &Archive) -> Written {
    let extra = |e: &ExtraRepository| {
        Written::default()
            .with("uri", &*e.uri)
            .with("suite", &*e.suite)
            .list("components", &e.components)
            .with("keyring", &*e.keyring)
            .with("priority", e.priority)
    };
    Written::default()
        .with("suite", &*archive.suite)
        .list("components", &archive.components)
        .with("architecture", &*archive.architecture)
        .named("extra", &archive.extra, extra)
        .list("debs", &archive.debs)
}
