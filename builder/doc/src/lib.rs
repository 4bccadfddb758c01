//! Recipe, lock, build and report → the server's documentation: what it is, who may reach what, what is installed, how it is
//! looked after, and, where a report is about this very image, what was measured. Pure: no I/O.

#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod chapters;
mod content;
mod context;
mod evidence;
mod html;
mod language;
mod markdown;
mod plan;
mod tables;
mod terms;

pub use language::Language;

use context::DocumentContext;
use diorite_model::plan::Build;
use diorite_model::profile::Settings;
use diorite_model::report::Report;
use diorite_model::{Digest, Lock, Recipe};

/// What a document is made from. What is not there yet is told as not known.
#[derive(Debug)]
pub struct Input<'a> {
    /// The profile's name, as other verbs take it.
    pub profile: &'a str,
    /// What the machine is.
    pub recipe: &'a Recipe,
    /// What the profile says besides.
    pub settings: &'a Settings,
    /// The lock of this recipe.
    pub lock: Option<&'a Lock>,
    /// The last build.
    pub build: Option<&'a Build>,
    /// The last report. It counts only for the image of `build`, this recipe and this plan of checks.
    pub report: Option<&'a Report>,
    /// [`diorite_model::report::plan_digest`] of the checks that a verification would run today.
    pub plan_digest: Digest,
}

/// A document in both forms.
#[derive(Debug)]
pub struct Documentation {
    /// One page that stands alone.
    pub html: String,
    /// The same in Markdown.
    pub markdown: String,
    /// How many checks were measured of this very image; `None`: no report is about it.
    pub measured: Option<usize>,
}

/// Writes the documentation.
pub fn document(input: &Input<'_>, language: Language) -> Documentation {
    let context = DocumentContext::new(input, language);
    let document = chapters::document(&context);
    let measured = context.evidence.report().ok().map(|report| report.checks.len());
    Documentation { html: html::html(&document, language), markdown: markdown::markdown(&document, language), measured }
}

#[cfg(test)]
mod tests;
