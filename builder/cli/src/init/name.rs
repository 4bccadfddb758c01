//! The name of a new project's profile. It is the image's name as well: lower-case letters, digits and `-`, beginning
//! with a letter, at most 24.

use std::path::Path;

const LONGEST: usize = 24;
/// Files in profiles/ that are something else.
const TAKEN: [&str; 2] = ["base", "targets"];

/// Says what is wrong with a name.
pub fn valid(name: &str) -> Result<(), String> {
    if TAKEN.contains(&name) {
        return Err(format!("profiles/{name}.toml is another file of the project"));
    }
    let letters = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    let ends = name.starts_with(|c: char| c.is_ascii_lowercase()) && !name.ends_with('-');
    match letters && ends && name.len() <= LONGEST {
        true => Ok(()),
        false => Err("lower-case letters, digits and `-`, beginning with a letter, at most 24: `shop`".into()),
    }
}

/// A valid name that is like the directory's; `otherwise` where there is none.
pub fn profile_name(directory: &Path, otherwise: &str) -> String {
    // The directory may be `.`, or may not exist yet.
    let whole = std::fs::canonicalize(directory).or_else(|_| std::path::absolute(directory)).unwrap_or_default();
    let own = whole.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let plain: String = own.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let words: Vec<&str> = plain.split('-').filter(|word| !word.is_empty()).collect();
    let joined = words.join("-");
    let begun = joined.trim_start_matches(|c: char| !c.is_ascii_lowercase());
    let name = begun[..begun.len().min(LONGEST)].trim_end_matches('-');
    if valid(name).is_ok() { name.to_owned() } else { otherwise.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directory_gives_a_valid_name() {
        for (directory, name) in [
            ("/srv/shop", "shop"),
            ("/srv/My Machines", "my-machines"),
            ("/srv/web.example.org", "web-example-org"),
            ("/srv/2026 plans", "plans"),
            ("/srv/--x--", "x"),
            ("/srv/Küche", "k-che"),
            ("/srv/.hidden", "hidden"),
            ("/srv/a/../b", "b"),
            ("/srv/日本", "otherwise"),
            ("/srv/base", "otherwise"),
            ("/srv/targets", "otherwise"),
            ("/srv/42", "otherwise"),
            ("/", "otherwise"),
            ("/srv/an-exceedingly-long-nam-e", "an-exceedingly-long-nam"),
        ] {
            let found = profile_name(Path::new(directory), "otherwise");
            assert_eq!(found, name, "{directory}");
            assert!(valid(&found).is_ok(), "{found}");
        }
        assert!(valid(&profile_name(Path::new(&format!("/srv/{}", "x".repeat(100))), "otherwise")).is_ok());
    }

    #[test]
    fn other_names_are_refused() {
        for name in ["", "Shop", "my shop", "2nd", "-a", "a-", "a.b", "../x", "base", "targets", &"x".repeat(25)] {
            assert!(valid(name).is_err(), "{name}");
        }
        assert_eq!(valid("shop-2"), Ok(()));
    }
}
