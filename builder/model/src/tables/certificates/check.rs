//! Certificates against the containers that read them.

use crate::Result;
use crate::recipe::Recipe;
use crate::tables::places::Places;
use std::collections::BTreeMap;

pub(crate) fn check(recipe: &Recipe, places: &Places) -> Result<()> {
    let (mut ports, mut paths) = (BTreeMap::new(), BTreeMap::new());
    for (name, certificate) in &recipe.certificates {
        let whole = format!("certificates.{name}");
        let Some(container) = recipe.containers.get(&certificate.container) else {
            let what = format!("there is no container `{}` to read the certificate `{name}`", certificate.container);
            let there = recipe.containers.keys().cloned().collect::<Vec<_>>().join(", ");
            let hint = if there.is_empty() { "the profile has none".to_owned() } else { format!("there is {there}") };
            return Err(places.finding(&format!("{whole}.container"), what).hint(hint));
        };
        let at = format!("{whole}.path");
        if let Some(other) = paths.insert((&certificate.container, &certificate.path), at.clone()) {
            let what = format!("container `{}` has two certificates at {}", certificate.container, certificate.path);
            return Err(places.between(&at, what, &other, "the other one").hint("give one another `path`"));
        }
        let reader = format!("containers.{}", certificate.container);
        let volumes = container.volumes.iter().map(|(n, v)| (&v.path, format!("{reader}.volumes.{n}.path")));
        let memory = container.writable.iter().enumerate().map(|(i, p)| (p, format!("{reader}.writable.{i}")));
        if let Some((_, other)) = volumes.chain(memory).find(|(path, _)| **path == certificate.path) {
            let what = format!("container `{}` has two things at {}", certificate.container, certificate.path);
            return Err(places.between(&at, what, &other, "the other one").hint("give the certificate another `path`"));
        }
        let Some(port) = certificate.port else { continue };
        let at = format!("{whole}.port");
        if !container.publish.iter().any(|p| p.host == port && !p.local) {
            let what = format!("container `{}` does not publish port {port}", certificate.container);
            let error = places.between(&at, what, &reader, "the container");
            return Err(error.hint(format!("add `{{ host = {port} }}` to its `publish`, or remove `port`")));
        }
        if let Some(other) = ports.insert(port, at.clone()) {
            let error = places.between(&at, format!("port {port} shows two certificates"), &other, "the other one");
            return Err(error.hint("remove one of the two lines"));
        }
    }
    Ok(())
}
