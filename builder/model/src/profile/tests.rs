//! The profiles of the repository, and every error with its exact text.

use super::*;

/// Profiles of the repository, as they are.
fn shipped(name: &str) -> Result<Loaded> {
    let text = match name {
        "base" => include_str!("../../../../profiles/base.toml"),
        "server" => include_str!("../../../../profiles/server.toml"),
        _ => return Err(Error::input(format!("there is no profile `{name}`")).hint("profiles here: base, server")),
    };
    Ok(Loaded { file: format!("profiles/{name}.toml"), text: text.into() })
}

#[test]
fn shipped_profiles_parse() {
    for name in ["base", "server"] {
        let loaded = shipped(name).unwrap();
        let (recipe, settings) = parse(&loaded.text, &loaded.file, &mut shipped).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(recipe.image.name, name);
        assert_eq!(settings, Settings::default());
        assert!(recipe.firewall.allow.iter().any(|a| a.port == 22));
    }
}
