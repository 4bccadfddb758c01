//! Services, how far each is shut in, and what hardening closes.

use crate::content::{Block, Cell, DocumentSection, DocumentTable};
use crate::context::DocumentContext;
use crate::terms;
use diorite_model::hardening::{EXPOSURE_WITHOUT_REASON, Level};
use diorite_model::recipe::{Timer, Unit};

pub(super) fn section(c: &DocumentContext) -> DocumentSection {
    let (services, language) = (&c.recipe.services, c.language);
    let mut blocks = Vec::new();
    if !services.units.is_empty() {
        let mut table = DocumentTable::new([
            language.service(),
            language.what_it_does(),
            language.user(),
            language.when(),
            language.evidence(),
        ]);
        for (name, unit) in &services.units {
            let ids = [format!("service-{name}")];
            table.row([
                Cell::code(format!("{name}.service")),
                Cell::lines([Cell::from(unit.description.as_str()), Cell::code(unit.exec.join(" "))]),
                Cell::lines([Cell::code(&*unit.user)].into_iter().chain(may(c, unit))),
                when(c, unit),
                c.evidence.of_checks(&[&ids[0]]),
            ]);
        }
        blocks.extend([Block::Heading(language.own_services()), Block::Table(table)]);
    }
    blocks.push(Block::Facts(vec![
        (language.switched_on(), Cell::codes(&services.enable).or_dash()),
        (language.switched_off(), Cell::codes(&services.disable).or_dash()),
        (language.masked(), Cell::codes(&services.mask).or_dash()),
        (language.everything_runs(), c.evidence.of_checks(&["running", "no-failed-unit", "journal"])),
    ]));
    blocks.push(Block::Heading(language.sandboxes()));
    blocks.extend(exposure(c));
    blocks.push(Block::Heading(language.hardening()));
    blocks.extend(hardening(c));
    DocumentSection { id: "services", title: language.chapter_services(), blocks }
}

fn may(c: &DocumentContext, unit: &Unit) -> Vec<Cell> {
    let network = unit.network.then(|| Cell::from(c.language.may_use_network()));
    let credentials = unit.credentials.iter().map(|name| Cell::from(c.language.reads_credential(name)));
    network.into_iter().chain(credentials).collect()
}

fn when(c: &DocumentContext, unit: &Unit) -> Cell {
    match &unit.timer {
        None => c.language.at_boot().into(),
        Some(Timer::Every(count)) => c.language.every(terms::seconds(*count, c.language)).into(),
        Some(Timer::Calendar(event)) => Cell::code(&**event),
    }
}

/// What `systemd-analyze security` said of each unit, as a report keeps it: `ssh.service 7.0, …`.
fn exposure(c: &DocumentContext) -> Vec<Block> {
    let language = c.language;
    let Some(check) = c.evidence.check("exposure") else {
        return vec![Block::Text(Cell::soft(language.exposure_unknown()))];
    };
    let mut table = DocumentTable::new([language.service(), language.exposure(), language.reason()]);
    for entry in check.seen.split(',').map(str::trim) {
        let Some((unit, score)) = entry.rsplit_once(' ') else { continue };
        let Ok(value) = score.parse::<f64>() else { continue };
        let why = (value * 10.0 > f64::from(EXPOSURE_WITHOUT_REASON)).then(|| open_because(c, unit));
        table.row([Cell::code(unit), score.into(), why.map_or_else(|| Cell::from(""), Cell::from)]);
    }
    let proof = Block::Facts(vec![(language.evidence(), c.evidence.of_checks(&["exposure"]))]);
    let about = Block::Text(language.exposure_about().into());
    if table.rows.is_empty() { vec![about, proof] } else { vec![about, Block::Table(table), proof] }
}

/// Why a unit is open further than most.
fn open_because(c: &DocumentContext, unit: &str) -> String {
    let exception = c.recipe.hardening.exceptions.iter().find(|exception| exception.unit.as_deref() == Some(unit));
    let container = unit.strip_suffix(".service").is_some_and(|name| c.recipe.containers.contains_key(name));
    match exception {
        Some(exception) => exception.why.clone(),
        None if container => c.language.exposure_of_containers(),
        None => c.language.exposure_of_sessions(),
    }
}

fn hardening(c: &DocumentContext) -> Vec<Block> {
    let (hardening, language) = (&c.recipe.hardening, c.language);
    let level = match hardening.level {
        Level::Standard => "standard",
        Level::Strict => "strict",
    };
    let proof = |text: String, id: &str| Cell::lines([Cell::from(text), c.evidence.of_checks(&[id])]);
    let mut blocks = vec![Block::Facts(vec![
        (language.level(), Cell::code(level)),
        (language.kernel_values(), proof(hardening.sysctl.len().to_string(), "sysctl")),
        (
            language.blocked_modules(),
            Cell::lines([Cell::code(hardening.blocked_modules.join(" ")), c.evidence.of_checks(&["modules-blocked"])]),
        ),
        (
            language.setuid_programs(),
            Cell::lines([
                Cell::codes(hardening.setuid.iter().map(|s| &s.path)).or_dash(),
                c.evidence.of_checks(&["setuid"]),
            ]),
        ),
    ])];
    let mut table = DocumentTable::new([language.exception(), language.concerns(), language.reason()]);
    for exception in &hardening.exceptions {
        let unit = exception.unit.as_ref().map_or_else(|| language.the_machine().into(), |unit| Cell::code(&**unit));
        table.row([Cell::code(&*exception.setting), unit, exception.why.as_str().into()]);
    }
    for program in &hardening.setuid {
        table.row([Cell::from("setuid"), Cell::code(&*program.path), program.why.as_str().into()]);
    }
    if !table.rows.is_empty() {
        blocks.push(Block::Table(table));
    }
    blocks
}
