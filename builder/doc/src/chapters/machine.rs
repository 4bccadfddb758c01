//! The machine: system, kernel, clock, language, the virtual hardware, and machines made from the same image.

use crate::content::{Block, Cell, DocumentSection, DocumentTable, Fact, bytes};
use crate::context::DocumentContext;
use crate::terms;
use diorite_model::recipe::{Enroll, Platform, StateDisk, TimeDaemon};

pub(super) fn section(c: &DocumentContext) -> DocumentSection {
    let language = c.language;
    let mut blocks = vec![Block::Facts(system(c))];
    // What a hypervisor is told is not about a physical machine.
    if !c.recipe.platform.is_metal() {
        blocks.extend([Block::Heading(language.virtual_machine()), Block::Facts(hardware(c))]);
    }
    if !c.settings.instances.is_empty() {
        blocks.push(Block::Heading(language.instances()));
        blocks.push(Block::Text(language.instances_about().into()));
        blocks.push(Block::Table(instances(c)));
    }
    DocumentSection { id: "machine", title: language.chapter_machine(), blocks }
}

fn system(c: &DocumentContext) -> Vec<Fact> {
    let (recipe, language) = (c.recipe, c.language);
    let kernel = recipe.kernel.package();
    let version = c.package(kernel.split('=').next().unwrap_or(kernel)).map(|p| p.version.clone());
    let kernel = Cell::code(version.map_or(kernel.to_owned(), |version| format!("{kernel} {version}")));
    let words: Vec<&String> = recipe.kernel.command_line.iter().chain(&recipe.hardening.command_line).collect();
    let ntp: Vec<&String> = recipe.time.ntp.iter().chain(recipe.network.values().flat_map(|l| &l.ntp)).collect();
    let proof = |ids: &[&str]| c.evidence.of_checks(ids);
    let with = |said: Cell, ids: &[&str]| Cell::lines([said, proof(ids)]);
    let daemon = match recipe.time.daemon {
        TimeDaemon::Timesyncd => "systemd-timesyncd".to_owned(),
        TimeDaemon::Chrony => "chrony".to_owned(),
        TimeDaemon::None => language.nobody(),
    };
    let servers = if ntp.is_empty() { language.learned_servers() } else { join(&ntp) };
    let locales: Vec<&String> = std::iter::once(&recipe.locale.lang).chain(&recipe.locale.more).collect();
    let mut all = vec![
        (language.host_name(), with(Cell::code(&*recipe.image.hostname), &["hostname"])),
        (language.system(), language.debian(&recipe.archive.suite, &recipe.archive.architecture).into()),
        (
            language.root_file_system(),
            with(language.root_about().into(), &["root-verity", "tamper-refused", "remount-refused"]),
        ),
        (language.kernel(), with(kernel, &["kernel-sound"])),
    ];
    if recipe.platform.is_metal() {
        all.push((language.kind_of_machine(), with(language.physical().into(), &["hardware"])));
        let microcode = recipe.platform.microcode.then_some(Platform::MICROCODE).into_iter().flatten();
        let packages = recipe.platform.firmware.iter().map(String::as_str).chain(microcode);
        all.push((language.firmware(), Cell::codes(packages).or_dash()));
    }
    if let Some(signing) = &recipe.signing {
        let about = match signing.enroll {
            Enroll::Auto | Enroll::Force => language.enrolled_at_first_start(),
            Enroll::Manual => language.enrolled_by_hand(),
        };
        let checks = ["secure-boot", "alteration-refused", "addition-refused"];
        all.push((language.secure_boot(), with(about.into(), &checks)));
    }
    if !words.is_empty() {
        all.push((language.command_line(), with(Cell::code(join(&words)), &["command-line"])));
    }
    if !recipe.kernel.modules.is_empty() {
        let modules = Cell::codes(&recipe.kernel.modules);
        all.push((language.modules(), Cell::lines([modules, c.evidence.matching(|id| id.starts_with("module-"))])));
    }
    all.extend([
        (language.time_zone(), with(Cell::code(&*recipe.time.timezone), &["timezone"])),
        (language.clock(), with(language.clock_about(daemon, servers).into(), &["clock"])),
        (language.locale(), with(Cell::code(join(&locales)), &["language"])),
    ]);
    if !recipe.overlays.is_empty() {
        let paths = recipe.overlays.iter().map(|name| format!("overlays/{name}"));
        all.push((language.overlays(), Cell::codes(paths)));
    }
    all
}

fn join(all: &[&String]) -> String {
    all.iter().map(|one| one.as_str()).collect::<Vec<_>>().join(" ")
}

fn hardware(c: &DocumentContext) -> Vec<Fact> {
    let (machine, language) = (&c.settings.machine, c.language);
    let mut all = vec![
        (language.memory(), Cell::from(bytes(machine.memory))),
        (language.processors(), machine.cores.to_string().into()),
    ];
    if c.recipe.state.disk == StateDisk::Own {
        all.push((language.state_disk(), bytes(machine.state).into()));
    }
    let vlan = machine.vlan.map_or_else(|| language.none(), |id| id.to_string());
    let mac =
        machine.mac.as_ref().map_or_else(|| Cell::from(language.chosen_by_hypervisor()), |mac| Cell::code(&**mac));
    all.extend([
        (language.hypervisor_vlan(), vlan.into()),
        (language.hardware_address(), mac),
        ("TPM 2.0".to_owned(), terms::yes(machine.tpm, language).into()),
        (language.starts_with_host(), terms::yes(machine.start_at_boot, language).into()),
        (language.high_availability(), terms::yes(machine.cluster.ha, language).into()),
        (language.kept_disks(), machine.keep.to_string().into()),
    ]);
    if machine.cluster.anti_affinity {
        all.push((language.anti_affinity(), language.yes().into()));
    }
    if let Some(when) = &machine.cluster.replication {
        all.push((language.replication(), Cell::code(&**when)));
    }
    all
}

fn instances(c: &DocumentContext) -> DocumentTable {
    let language = c.language;
    let mut table = DocumentTable::new([
        language.host_name(),
        language.addresses(),
        language.gateways(),
        language.hardware_address(),
    ]);
    for (name, instance) in &c.settings.instances {
        let links = instance.network.as_ref().unwrap_or(&c.recipe.network);
        let of = |link: &str, address: String| if links.len() > 1 { format!("{link}: {address}") } else { address };
        let addresses =
            links.iter().flat_map(|(name, link)| terms::addresses(link, language).into_iter().map(|a| of(name, a)));
        let gateways = links.values().flat_map(|link| &link.gateways);
        let mac =
            instance.mac.as_ref().map_or_else(|| language.chosen_by_hypervisor().into(), |mac| Cell::code(&**mac));
        table.row([
            Cell::code(&**name),
            Cell::lines(addresses.map(Cell::from)).or_dash(),
            Cell::codes(gateways).or_dash(),
            mac,
        ]);
    }
    table
}
