//! Accounts and groups: of images from passwd(5) and group(5), of recipes from `[access]`.

use super::text;
use crate::{ValueChange, changes};
use diorite_image::read::ImageReader;
use diorite_model::{Recipe, Result};
use std::collections::BTreeMap;

/// The accounts and groups of two roots that differ.
///
/// # Errors
/// A file is damaged.
pub fn of_images(a: &ImageReader, b: &ImageReader) -> Result<Vec<ValueChange>> {
    let of = |image: &ImageReader| -> Result<BTreeMap<String, String>> {
        Ok(accounts(&text(image, "etc/passwd")?, &text(image, "etc/group")?))
    };
    Ok(changes(&of(a)?, &of(b)?))
}

fn accounts(passwd: &str, group: &str) -> BTreeMap<String, String> {
    let fields = |line: &str| line.split(':').map(str::to_owned).collect::<Vec<_>>();
    let users = passwd
        .lines()
        .map(fields)
        .filter(|f| f.len() >= 7)
        .map(|f| (format!("user {}", f[0]), format!("{}:{}, {}, {}", f[2], f[3], f[5], f[6])));
    let groups = group.lines().map(fields).filter(|f| f.len() >= 4).map(|f| {
        let members = if f[3].is_empty() { "no members".into() } else { f[3].replace(',', ", ") };
        (format!("group {}", f[0]), format!("{}, {members}", f[2]))
    });
    users.chain(groups).collect()
}

/// The people of two recipes that differ.
pub fn of_recipes(a: &Recipe, b: &Recipe) -> Vec<ValueChange> {
    let of = |recipe: &Recipe| -> BTreeMap<String, String> {
        let kind =
            |name: &String| if recipe.access.administrators.contains_key(name) { "administrator" } else { "user" };
        recipe.access.people().map(|(name, _)| (format!("person {name}"), kind(name).to_owned())).collect()
    };
    changes(&of(a), &of(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_its_number_home_and_shell() {
        let before = accounts("root:x:0:0:root:/root:/bin/bash\n", "sudo:x:27:anna\n");
        let after =
            accounts("root:x:0:0:root:/root:/bin/sh\nben:x:1000:1000::/home/ben:/bin/sh\n", "sudo:x:27:anna,ben\n");
        let said: Vec<_> = changes(&before, &after)
            .into_iter()
            .map(|c| format!("{}: {} → {}", c.what, c.before.unwrap_or_default(), c.after.unwrap_or_default()))
            .collect();
        assert_eq!(
            said,
            [
                "group sudo: 27, anna → 27, anna, ben",
                "user ben:  → 1000:1000, /home/ben, /bin/sh",
                "user root: 0:0, /root, /bin/bash → 0:0, /root, /bin/sh",
            ]
        );
    }
}
