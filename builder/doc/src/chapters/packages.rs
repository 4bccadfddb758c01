//! Packages: what was asked for, where it comes from, and every version.

use crate::content::{Block, Cell, DocumentSection, DocumentTable, bytes};
use crate::context::DocumentContext;
use diorite_model::{Lock, LockedPackage};

pub(super) fn section(c: &DocumentContext) -> DocumentSection {
    let (recipe, language) = (c.recipe, c.language);
    let (packages, archive) = (&recipe.packages, &recipe.archive);
    let mut facts = vec![
        (language.asked_for(), Cell::code(packages.include.join(" "))),
        (language.release(), language.release_about(&archive.suite, archive.components.join(", ")).into()),
    ];
    let repositories = archive.extra.iter().map(|(name, extra)| {
        Cell::from(format!("{name}: ")).then(Cell::code(format!(
            "{} {} {}",
            extra.uri,
            extra.suite,
            extra.components.join(" ")
        )))
    });
    facts.push((
        language.further_archives(),
        Cell::lines(repositories.chain(archive.debs.iter().map(|d| Cell::code(&**d)))).or_dash(),
    ));
    if !packages.exclude.is_empty() {
        facts.push((language.excluded(), Cell::code(packages.exclude.join(" "))));
    }
    if !packages.debconf.is_empty() {
        facts.push((language.debconf(), Cell::codes(packages.debconf.iter().map(|(k, v)| format!("{k} = {v}")))));
    }
    facts.push((language.with_documentation(), crate::terms::yes(packages.files.documentation, language).into()));
    facts.push((language.evidence(), c.evidence.matching(|id| id.starts_with("packages-") || id == "kernel-package")));
    let mut blocks = vec![Block::Facts(facts)];
    match c.lock {
        None => blocks.push(Block::Remark(language.packages_unknown(c.profile).into())),
        Some(lock) => {
            blocks.extend([Block::Heading(language.release_files()), Block::Table(releases(c, lock))]);
            blocks.push(Block::Heading(language.packages_of_machine(lock.image.len())));
            blocks.push(Block::Table(table(c, lock, &lock.image)));
            for (name, all) in lock.container.iter().filter(|(_, all)| !all.iter().any(LockedPackage::is_image)) {
                blocks.push(Block::Heading(language.packages_of_container(name, all.len())));
                blocks.push(Block::Table(table(c, lock, all)));
            }
            for (name, all) in &lock.wheels {
                blocks.push(Block::Heading(language.wheels_of_container(name, all.len())));
                blocks.push(Block::Table(table(c, lock, all)));
            }
        }
    }
    DocumentSection { id: "packages", title: language.chapter_packages(), blocks }
}

fn releases(c: &DocumentContext, lock: &Lock) -> DocumentTable {
    let language = c.language;
    let mut table = DocumentTable::new([language.suite(), language.as_of(), language.components()]);
    for release in lock.release.values() {
        table.row([Cell::code(&*release.suite), release.date.as_str().into(), release.components.join(", ").into()]);
    }
    table
}

fn table(c: &DocumentContext, lock: &Lock, packages: &[LockedPackage]) -> DocumentTable {
    let language = c.language;
    let mut table = DocumentTable::new([
        language.package(),
        language.version(),
        language.architecture(),
        language.origin(),
        language.size(),
    ]);
    for package in packages {
        table.row([
            Cell::code(&*package.name),
            Cell::code(&*package.version),
            package.architecture.as_str().into(),
            origin(c, lock, package).into(),
            bytes(package.size).into(),
        ]);
    }
    table
}

/// `trixie-security, main`: the suite, and the component where the path in the archive says it.
fn origin(c: &DocumentContext, lock: &Lock, package: &LockedPackage) -> String {
    if package.is_local() {
        return c.language.beside_the_profile();
    }
    if package.is_wheel() {
        let own = package.path.contains("://").then(|| package.path.clone());
        return own.unwrap_or_else(|| c.language.of_wheel_index());
    }
    let suite = lock.release.get(&package.release).map_or(package.release.as_str(), |r| r.suite.as_str());
    let component = package.path.strip_prefix("pool/").and_then(|rest| rest.split('/').next());
    let known =
        |name: &&str| lock.release.get(&package.release).is_some_and(|r| r.components.iter().any(|c| c == name));
    // The security archive keeps its components below `updates/`.
    let component = match component {
        Some("updates") => package.path.split('/').nth(2),
        other => other,
    };
    match component.filter(known) {
        Some(component) => format!("{suite}, {component}"),
        None => suite.to_owned(),
    }
}
