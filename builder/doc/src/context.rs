//! What every chapter is given.

use crate::Input;
use crate::evidence::ImageEvidence;
use crate::language::Language;
use diorite_model::plan::Build;
use diorite_model::profile::Settings;
use diorite_model::{Lock, LockedPackage, Recipe};

/// What every chapter is given.
pub(crate) struct DocumentContext<'a> {
    pub language: Language,
    pub profile: &'a str,
    pub recipe: &'a Recipe,
    pub settings: &'a Settings,
    pub lock: Option<&'a Lock>,
    /// The build of this recipe; an older one counts as none.
    pub build: Option<&'a Build>,
    pub evidence: ImageEvidence<'a>,
}

impl<'a> DocumentContext<'a> {
    pub(crate) fn new(input: &Input<'a>, language: Language) -> Self {
        let Input { profile, recipe, settings, lock, build, report, plan_digest } = *input;
        let evidence = ImageEvidence::of(report, build, recipe, plan_digest, language);
        let build = build.filter(|build| build.recipe_digest == recipe.digest());
        Self { language, profile, recipe, settings, lock, build, evidence }
    }

    /// A package of the root, by name.
    pub(crate) fn package(&self, name: &str) -> Option<&'a LockedPackage> {
        self.lock?.image.iter().find(|package| package.name == name)
    }
}
