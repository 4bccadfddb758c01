//! The kernel and what it is told: of images from the unified kernel image, of recipes from the package and the words they add.

use crate::{ValueChange, changes};
use diorite_image::pe::Pe;
use diorite_image::read::ImageReader;
use diorite_model::{Recipe, Result};
use std::collections::BTreeMap;

/// What differs between two images. The root hash always does, and is told elsewhere.
///
/// # Errors
/// A unified kernel image is damaged.
pub fn of_images(a: &ImageReader, b: &ImageReader) -> Result<Vec<ValueChange>> {
    let of = |image: &ImageReader| -> Result<BTreeMap<String, String>> {
        let (_, bytes) = image.esp.uki()?;
        let release = Pe::parse(bytes.to_vec()).and_then(|pe| Ok(pe.section(".uname")?.map(<[u8]>::to_vec)))?;
        let release = String::from_utf8_lossy(&release.unwrap_or_default()).trim_end_matches('\0').to_owned();
        let mut all = words(image.esp.command_line()?.split(' '));
        all.insert("release".into(), release);
        Ok(all)
    };
    Ok(changes(&of(a)?, &of(b)?))
}

/// What differs between two recipes.
pub fn of_recipes(a: &Recipe, b: &Recipe) -> Vec<ValueChange> {
    let of = |recipe: &Recipe| {
        let line = recipe.hardening.command_line.iter().chain(&recipe.kernel.command_line);
        let mut all = words(line.map(String::as_str));
        all.insert("package".into(), recipe.kernel.package().to_owned());
        all
    };
    changes(&of(a), &of(b))
}

fn words<'a>(words: impl Iterator<Item = &'a str>) -> BTreeMap<String, String> {
    let words = words.filter(|word| !word.is_empty() && !word.starts_with("roothash="));
    words.map(|word| (format!("command line: {word}"), "there".to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_command_line_differ_one_by_one_and_the_root_hash_never() {
        let before = words("roothash=aa ro quiet".split(' '));
        let after = words("roothash=bb ro panic=10".split(' '));
        let said: Vec<_> = changes(&before, &after).into_iter().map(|c| (c.what, c.after.is_some())).collect();
        assert_eq!(said, [("command line: panic=10".into(), true), ("command line: quiet".into(), false)]);
    }
}
