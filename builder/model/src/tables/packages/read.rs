//! `[packages]`.

use crate::Result;
use crate::profile::{field::*, section::Section, values, written::Written};
use crate::recipe::*;

pub(crate) const PACKAGES: &[Field] = &[
    texts("include", &values::PACKAGE, "package names, with `=version` if only that one will do"),
    texts("exclude", &values::PACKAGE_NAME, "packages that are never installed, whoever recommends or prefers them"),
    boolean("recommends", "install what these recommend as well").or(false),
    texts("recommends_of", &values::PACKAGE_NAME, "packages of which alone what they recommend is installed as well"),
    mapping(
        "debconf",
        &values::DEBCONF_TEMPLATE,
        &values::DEBCONF_ANSWER,
        "answers to the questions of packages' scripts, by template, as debconf-set-selections(1) takes them; no secrets",
    ),
    boolean("documentation", "unpack manuals, changelogs and examples; licences are always unpacked").or(true),
    texts(
        "translations",
        &values::LANGUAGE,
        "languages whose translations of messages are unpacked; an empty list: none",
    )
    .or_said("all of them"),
];

pub(crate) fn packages(top: &Section) -> Result<Packages> {
    let t = top.table_or_empty("packages")?;
    let secret = |template: &str| {
        format!(
            "answer `{template}` on the machine: let a unit of your own set it when it first starts, from a systemd \
             credential, LoadCredential= or ImportCredential="
        )
    };
    let translations = t.plain("translations")?;
    Ok(Packages {
        include: t.plain("include")?,
        recommends: t.flag("recommends")?,
        recommends_of: t.plain("recommends_of")?,
        exclude: t.plain("exclude")?,
        debconf: t.environment("debconf", secret)?,
        files: FileFilter {
            documentation: t.flag("documentation")?,
            translations: t.key("translations").map(|_| translations),
        },
    })
}

/// The table that says this.
pub(crate) fn written(packages: &Packages) -> Written {
    Written::default()
        .list("include", &packages.include)
        .list("exclude", &packages.exclude)
        .with("recommends", packages.recommends)
        .list("recommends_of", &packages.recommends_of)
        .named("debconf", &packages.debconf, String::clone)
        .with("documentation", packages.files.documentation)
        .maybe("translations", packages.files.translations.clone())
}
