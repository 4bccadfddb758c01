//! People: everybody has a way in, and the rules speak of people that are there.

use crate::Result;
use crate::profile::section::nearest;
use crate::recipe::{Access, Recipe, SecondFactor};
use crate::tables::places::Places;

pub(crate) fn check(recipe: &Recipe, places: &Places) -> Result<()> {
    let access = &recipe.access;
    for (kind, people) in [("administrators", &access.administrators), ("users", &access.users)] {
        for (name, person) in people {
            let path = format!("access.{kind}.{name}");
            // A cloud-init drive may have one.
            if person.ssh_keys.is_empty() && access.user_ca.is_empty() && !recipe.nocloud() {
                let error = places.finding(&path, format!("nothing lets `{name}` in"));
                let error = error.because("there is no key of theirs, and no authority that could certify one");
                return Err(error.hint("write `ssh_keys = [\"ssh-ed25519 AAAA… name\"]`, or `user_ca` in [access]"));
            }
            if !person.principals.is_empty() && access.user_ca.is_empty() {
                let error = places.finding(&format!("{path}.principals"), format!("no certificate can name `{name}`"));
                return Err(error
                    .because("`[access]` has no `user_ca`")
                    .hint("add the authority's public key, or remove this"));
            }
            security_keys(access, places, name, &path, &person.ssh_keys)?;
        }
    }
    for (name, group) in &access.groups {
        for (i, member) in group.members.iter().enumerate() {
            if !access.people().any(|(n, _)| n == member) {
                let known: Vec<&str> = access.people().map(|(n, _)| n.as_str()).collect();
                let near = nearest(member, &known).map(|n| format!("did you mean `{n}`? ")).unwrap_or_default();
                let path = format!("access.groups.{name}.members.{i}");
                let error =
                    places.finding(&path, format!("group `{name}` has a member that does not exist: `{member}`"));
                return Err(error.hint(format!("{near}declare them in [access.administrators] or [access.users]")));
            }
        }
    }
    Ok(())
}

/// With a second factor every key is in a token.
fn security_keys(access: &Access, places: &Places, name: &str, path: &str, keys: &[String]) -> Result<()> {
    if access.second_factor != SecondFactor::U2f {
        return Ok(());
    }
    let Some(i) = keys.iter().position(|key| !key.starts_with("sk-")) else { return Ok(()) };
    let what = format!("this key of `{name}` has no second factor");
    let error = places.between(&format!("{path}.ssh_keys.{i}"), what, "access.second_factor", "one is asked for");
    Err(error.hint("make a key in a token: ssh-keygen -t ed25519-sk -O verify-required"))
}
