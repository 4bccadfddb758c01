//! Two images, profiles, locks or recipes → what differs, as meaning: packages, files, people, units, ports, firewall, kernel,
//! sizes. And two images that were to be equal → where they are not, which step made that, and the likely cause.
//!
//! ```text
//! two of ComparedSide
//!   │ packages      versions and sizes of two locks
//!   │ meaning       what recipe and root say: people, units, ports, firewall, kernel, settings
//!   │ changelogs    what the changelogs of raised packages say, where the packages are at hand
//!   │ files         every path of two roots, field by field
//!   │   content     what differs inside a file: a header, an order, a time
//! Comparison
//!   │ render        text, Markdown, one HTML page; JSON is the type itself
//!   └ explain       of a rebuild: partition → file → field, step, likely cause
//! whence            image × path → package, overlay, table, scripts
//! ```
//! Nothing is printed and nothing is written here; an image is read through [`diorite_image::read`].

#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod changelogs;
pub mod content;
pub mod explain;
mod files;
mod meaning;
mod packages;
pub mod render;
pub mod whence;

pub use changelogs::{ChangelogEntry, PackageChangelog};
pub use files::{FieldChange, FileChange};
pub use packages::PackageChange;

use diorite_image::read::ImageReader;
use diorite_model::{Digest, Lock, Recipe, Result};
use serde::Serialize;

/// One of two things that are compared.
pub struct ComparedSide {
    /// As the user called it.
    pub name: String,
    /// `image`, `profile`, `lock`, `recipe`.
    pub kind: &'static str,
    /// What it was made from, or is to be.
    pub recipe: Option<Recipe>,
    /// From which packages.
    pub lock: Option<Lock>,
    /// The image itself.
    pub image: Option<ImageReader>,
}

/// What is said of a side in an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SideName {
    /// As the user called it.
    pub name: String,
    /// `image`, `profile`, `lock`, `recipe`.
    pub kind: &'static str,
    /// Name and version of the image, where a recipe says them.
    pub image: Option<String>,
    /// Top of the hash tree of its root.
    pub root_hash: Option<Digest>,
}

/// A value that differs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ValueChange {
    /// What it is the value of.
    pub what: String,
    /// On the first side; none where it is only on the second.
    pub before: Option<String>,
    /// On the second side.
    pub after: Option<String>,
}

/// A number of bytes that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SizeChange {
    /// What is so large.
    pub what: String,
    /// On the first side.
    pub before: u64,
    /// On the second side.
    pub after: u64,
}

/// What differs between two sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// Version of this form.
    pub schema: u32,
    /// The first side.
    pub a: SideName,
    /// The second side.
    pub b: SideName,
    /// Nothing differs of what could be compared.
    pub equal: bool,
    /// Packages, images and wheels.
    pub packages: Vec<PackageChange>,
    /// What the changelogs of raised packages say, where it was asked for.
    pub changelogs: Vec<PackageChangelog>,
    /// Sizes.
    pub sizes: Vec<SizeChange>,
    /// Accounts and groups.
    pub people: Vec<ValueChange>,
    /// Units, and whether they are enabled.
    pub units: Vec<ValueChange>,
    /// What listens on which port.
    pub ports: Vec<ValueChange>,
    /// Lines of the firewall's rules.
    pub firewall: Vec<ValueChange>,
    /// The kernel and its command line.
    pub kernel: Vec<ValueChange>,
    /// Values of the recipe, by their path.
    pub settings: Vec<ValueChange>,
    /// Files.
    pub files: Vec<FileChange>,
    /// What one side lacks, so that it was not compared.
    pub not_compared: Vec<String>,
}

impl ComparedSide {
    fn named(&self) -> SideName {
        let image = self.recipe.as_ref().map(|r| format!("{} {}", r.image.name, r.image.version));
        let root_hash = self.image.as_ref().map(|image| image.root_hash);
        SideName { name: self.name.clone(), kind: self.kind, image, root_hash }
    }
}

/// Compares two sides, as far as both have something.
///
/// # Errors
/// An image is damaged.
pub fn compare(a: &ComparedSide, b: &ComparedSide) -> Result<Comparison> {
    let mut comparison = Comparison {
        schema: 1,
        a: a.named(),
        b: b.named(),
        equal: false,
        packages: Vec::new(),
        changelogs: Vec::new(),
        sizes: Vec::new(),
        people: Vec::new(),
        units: Vec::new(),
        ports: Vec::new(),
        firewall: Vec::new(),
        kernel: Vec::new(),
        settings: Vec::new(),
        files: Vec::new(),
        not_compared: Vec::new(),
    };
    let missing = |what: &str, a: &ComparedSide, b: &ComparedSide, has: fn(&ComparedSide) -> bool| {
        let lack: Vec<_> = [a, b].into_iter().filter(|side| !has(side)).map(|side| side.name.as_str()).collect();
        (!lack.is_empty()).then(|| format!("{what}: not in {}", lack.join(" and ")))
    };
    match (&a.lock, &b.lock) {
        (Some(a), Some(b)) => (comparison.packages, comparison.sizes) = packages::compare(a, b),
        _ => comparison.not_compared.extend(missing("packages", a, b, |side| side.lock.is_some())),
    }
    match (&a.recipe, &b.recipe) {
        (Some(a), Some(b)) => {
            comparison.settings = meaning::settings::compare(a, b);
            comparison.ports = meaning::ports::compare(a, b);
        }
        _ => {
            let what = "recipe (settings, ports)";
            comparison.not_compared.extend(missing(what, a, b, |side| side.recipe.is_some()));
        }
    }
    match (&a.image, &b.image) {
        (Some(left), Some(right)) => {
            comparison.files = files::compare(left, right)?;
            comparison.sizes.extend(meaning::sizes::compare(left, right));
            comparison.people = meaning::people::of_images(left, right)?;
            comparison.units = meaning::units::of_images(left, right)?;
            comparison.firewall = meaning::firewall::of_images(left, right)?;
            comparison.kernel = meaning::kernel::of_images(left, right)?;
        }
        _ => {
            if let (Some(a), Some(b)) = (&a.recipe, &b.recipe) {
                comparison.people = meaning::people::of_recipes(a, b);
                comparison.units = meaning::units::of_recipes(a, b);
                comparison.firewall = meaning::firewall::of_recipes(a, b)?;
                comparison.kernel = meaning::kernel::of_recipes(a, b);
            }
            comparison.not_compared.extend(missing("files", a, b, |side| side.image.is_some()));
        }
    }
    comparison.equal = comparison.is_equal();
    Ok(comparison)
}

impl Comparison {
    fn is_equal(&self) -> bool {
        let lists = [&self.people, &self.units, &self.ports, &self.firewall, &self.kernel, &self.settings];
        let hashes = self.a.root_hash.zip(self.b.root_hash).is_none_or(|(a, b)| a == b);
        hashes
            && self.packages.is_empty()
            && self.sizes.is_empty()
            && self.files.is_empty()
            && lists.iter().all(|list| list.is_empty())
    }
}

/// The changes between two sets of named values.
pub(crate) fn changes(
    before: &std::collections::BTreeMap<String, String>,
    after: &std::collections::BTreeMap<String, String>,
) -> Vec<ValueChange> {
    let names: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let one = |what: &String| {
        let (before, after) = (before.get(what).cloned(), after.get(what).cloned());
        (before != after).then(|| ValueChange { what: what.clone(), before, after })
    };
    names.into_iter().filter_map(one).collect()
}
