//! What stands in for the secrets of a recipe's containers while its machine is verified.

use diorite_machine::credentials::Credential;
use diorite_model::Recipe;
use std::collections::BTreeSet;

/// A credential for each secret: it serves for nothing else, and can be recognized.
pub fn credentials(recipe: &Recipe) -> Vec<Credential> {
    let secrets = recipe.containers.values().flat_map(|c| c.secrets.values());
    let names: BTreeSet<&str> = secrets.map(|s| s.credential.as_str()).collect();
    names.into_iter().map(|name| Credential::new(name, value(name))).collect()
}

/// The value of a credential of this name.
pub fn value(credential: &str) -> String {
    format!("stands in for {credential}: 100% $x")
}
