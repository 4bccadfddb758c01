//! Credentials that the machine needs when it starts: names, never values.

use crate::content::{Block, Cell, DocumentSection, DocumentTable};
use crate::context::DocumentContext;
use diorite_model::recipe::{Backup, MountSource, RootLogin};

pub(super) fn section(c: &DocumentContext) -> DocumentSection {
    let (recipe, language) = (c.recipe, c.language);
    let mut table = DocumentTable::new([language.credential(), language.needed_by(), language.given_from()]);
    for (name, by) in needed(c) {
        let given = c.settings.instances.iter().filter_map(|(instance, i)| {
            i.credentials.get(&name).map(|source| Cell::from(format!("{instance}: {}", language.source_of(source))))
        });
        let given = Cell::lines(given);
        let given = if given.0.is_empty() { Cell::from(language.by_hypervisor()) } else { given };
        table.row([Cell::code(name), by, given]);
    }
    let mut blocks = vec![Block::Text(language.credentials_about().into())];
    match table.rows.is_empty() {
        true => blocks.push(Block::Text(language.no_credentials().into())),
        false => blocks.push(Block::Table(table)),
    }
    if let Some(drive) = &recipe.config_drive {
        let signers = drive.signers.iter().map(|key| Cell::code(&**key));
        blocks.push(Block::Facts(vec![
            (language.drive_signers(), Cell::lines(signers).or_dash()),
            (language.cloud_drive(), crate::terms::yes(drive.nocloud, language).into()),
        ]));
    }
    DocumentSection { id: "credentials", title: language.chapter_credentials(), blocks }
}

/// Every credential that a table of the profile names, and who needs it.
fn needed(c: &DocumentContext) -> Vec<(String, Cell)> {
    let (recipe, language) = (c.recipe, c.language);
    let mut all = Vec::new();
    if recipe.access.root_login == RootLogin::Credential {
        all.push(("ssh.authorized_keys.root".to_owned(), Cell::from(language.roots_keys())));
    }
    for (name, container) in &recipe.containers {
        let of = |credential: &String| (credential.clone(), Cell::from(language.container_named(name)));
        all.extend(container.secrets.values().map(|secret| of(&secret.credential)));
    }
    if let Some(backup) = &recipe.backup {
        all.push((backup.password.clone(), Cell::code(Backup::UNIT)));
        all.extend(backup.server_credential().map(|credential| (credential.clone(), Cell::code(Backup::UNIT))));
    }
    let certificates = recipe.certificates.values();
    all.extend(certificates.filter_map(|certificate| {
        Some((certificate.credential.clone()?, Cell::from(language.container_named(&certificate.container))))
    }));
    let challenges = recipe.challenge_credentials();
    all.extend(challenges.map(|(name, of)| (name.clone(), Cell::from(language.certificate_named(of)))));
    for (name, unit) in &recipe.services.units {
        all.extend(
            unit.credentials.iter().map(|credential| (credential.clone(), Cell::code(format!("{name}.service")))),
        );
    }
    all.extend(recipe.tunnel_credentials().into_iter().map(|(name, of)| (name, Cell::from(language.tunnel_named(of)))));
    for mount in recipe.mounts.values() {
        if let MountSource::Cifs(cifs) = &mount.source {
            all.push((cifs.credential.clone(), Cell::code(mount.directory())));
        }
    }
    let named: Vec<String> = all.iter().map(|(name, _)| name.clone()).collect();
    for instance in c.settings.instances.values() {
        for name in instance.credentials.keys().filter(|name| !named.contains(name)) {
            if !all.iter().any(|(n, _)| n == name) {
                all.push((name.clone(), Cell::from(language.no_table_names_it())));
            }
        }
    }
    all
}
