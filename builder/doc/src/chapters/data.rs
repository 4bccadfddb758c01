//! Where data lives: the disk, state, volumes, mounts, swap.

use crate::content::{Block, Cell, DocumentSection, DocumentTable, bytes};
use crate::context::DocumentContext;
use crate::terms;
use diorite_model::recipe::{Backup, DiskName, Encryption, Memory, Mount, MountSource, MountTime, StateDisk, Timer};

pub(super) fn section(c: &DocumentContext) -> DocumentSection {
    let (recipe, language) = (c.recipe, c.language);
    let mut blocks = vec![Block::Text(language.data_about().into()), Block::Facts(state(c))];
    let mut kept = DocumentTable::new([language.directory(), language.belongs_to()]);
    for (name, container) in &recipe.containers {
        for (volume, about) in &container.volumes {
            kept.row([
                Cell::code(format!("{}/{volume}", c.recipe.volumes_directory(name, about))),
                language.container_named(name).into(),
            ]);
        }
    }
    for (name, _) in recipe.services.units.iter().filter(|(_, unit)| unit.state) {
        kept.row([Cell::code(format!("/var/lib/{name}")), Cell::code(format!("{name}.service"))]);
    }
    for (name, _) in recipe.access.people() {
        kept.row([Cell::code(format!("/var/home/{name}")), language.home_of(name).into()]);
    }
    if !kept.rows.is_empty() {
        blocks.extend([Block::Heading(language.kept_directories()), Block::Table(kept)]);
    }
    if !recipe.mounts.is_empty() {
        blocks.extend([Block::Heading(language.mounts()), Block::Table(mounts(c))]);
    }
    match &recipe.backup {
        None => blocks.push(Block::Remark(language.no_backup().into())),
        Some(saved) => blocks.extend([Block::Heading(language.backup()), Block::Facts(backup(saved, c))]),
    }
    blocks.extend([Block::Heading(language.system_disk()), Block::Table(partitions(c))]);
    DocumentSection { id: "data", title: language.chapter_data(), blocks }
}

fn backup(backup: &Backup, c: &DocumentContext) -> Vec<(String, Cell)> {
    let language = c.language;
    let dumps = backup.dumps.iter().map(|(name, dump)| {
        Cell::code(dump.command.join(" ")).then(format!(" ({}, {name})", language.container_named(&dump.container)))
    });
    let directories = backup.directories.iter().map(|directory| Cell::code(&**directory));
    let when = match &backup.when {
        Timer::Every(count) => Cell::from(language.every(terms::seconds(*count, language))),
        Timer::Calendar(event) => Cell::code(&**event),
    };
    let [daily, weekly, monthly] = backup.keep;
    vec![
        (language.backup_saves(), Cell::lines(directories.chain(dumps))),
        (language.backup_to(), Cell::code(backup.location())),
        (language.backup_when(), Cell::lines([when, c.evidence.of_checks(&["backup-timer"])])),
        (language.backup_kept(), language.backup_keeps(daily, weekly, monthly).into()),
        (
            language.backup_restore(),
            Cell::lines([
                Cell::code("systemctl start diorite-restore@latest"),
                Cell::code(Backup::RESTORED),
                c.evidence.of_checks(&["backup-restored"]),
            ]),
        ),
    ]
}

fn state(c: &DocumentContext) -> Vec<(String, Cell)> {
    let (state, language) = (&c.recipe.state, c.language);
    let disk = match state.disk {
        StateDisk::Same => language.state_same(),
        StateDisk::Own => language.state_own(),
    };
    let encryption = match state.encryption {
        Encryption::None => language.no().into(),
        Encryption::Tpm2 => {
            let proof = c.evidence.of_checks(&["state-encrypted", "state-unreadable"]);
            Cell::lines([Cell::from(language.encrypted_tpm()), proof])
        }
    };
    let mut all = vec![
        ("/var".to_owned(), Cell::lines([Cell::from(disk), c.evidence.of_checks(&["state-partition", "state-disk"])])),
        (language.file_system(), Cell::code(state.filesystem.name())),
        (language.encryption(), encryption),
        (language.least_size(), bytes(state.minimum).into()),
    ];
    if !state.volatile.is_empty() {
        let proof = c.evidence.matching(|id| id.starts_with("volatile-"));
        all.push((language.memory_directories(), Cell::lines([Cell::codes(&state.volatile), proof])));
    }
    let Memory { swap, zram } = &c.recipe.memory;
    if let Some(size) = swap {
        let file = format!("{}, {}", bytes(*size), Memory::SWAP_FILE);
        all.push((
            language.swap_file(),
            Cell::lines([Cell::from(file), c.evidence.matching(|id| id.starts_with("swap"))]),
        ));
    }
    if let Some(size) = zram {
        all.push((
            language.swap_memory(),
            Cell::lines([Cell::from(bytes(*size)), c.evidence.matching(|id| id.starts_with("zram"))]),
        ));
    }
    all
}

fn mounts(c: &DocumentContext) -> DocumentTable {
    let language = c.language;
    let mut table = DocumentTable::new([language.directory(), language.what(), language.when(), language.evidence()]);
    for (name, mount) in &c.recipe.mounts {
        let remarks =
            [mount.read_only.then(|| language.read_only()), mount.required.then(|| language.machine_needs_it())];
        let remarks = remarks.into_iter().flatten().map(Cell::from);
        let when = match mount.when {
            MountTime::Boot => language.at_boot(),
            MountTime::Access => language.on_access(),
        };
        let prefix = format!("mount-{name}");
        table.row([
            Cell::code(mount.directory()),
            Cell::lines([source(c, mount)].into_iter().chain(remarks)),
            when.into(),
            c.evidence
                .matching(|id| id.strip_prefix(&prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))),
        ]);
    }
    table
}

fn source(c: &DocumentContext, mount: &Mount) -> Cell {
    let language = c.language;
    match &mount.source {
        MountSource::Disk(disk) => {
            let name = match &disk.name {
                DiskName::Label(label) => language.disk_with_label(label),
                DiskName::Uuid(uuid) => language.disk_with_uuid(uuid),
                DiskName::Serial(serial) => language.disk_with_serial(serial),
            };
            Cell::from(format!("{name}, {}", disk.filesystem.name()))
        }
        MountSource::Nfs(nfs) => Cell::code(format!("nfs://{}{}", nfs.server, nfs.export)),
        MountSource::Cifs(cifs) => Cell::lines([
            Cell::code(format!("smb://{}/{}", cifs.server, cifs.share)),
            Cell::from(language.reads_credential(&cifs.credential)),
        ]),
        MountSource::Bind(path) => Cell::code(&**path),
    }
}

fn partitions(c: &DocumentContext) -> DocumentTable {
    let (disk, language) = (&c.recipe.disk, c.language);
    let mut table = DocumentTable::new([language.partition(), language.size(), language.contents_of()]);
    let esp = language.esp_about();
    table.row([Cell::code("esp"), bytes(disk.esp).into(), esp.into()]);
    table.row([
        language.root_slots().into(),
        language.twice(bytes(disk.root)).into(),
        language.root_slots_about().into(),
    ]);
    table.row([
        language.hash_slots().into(),
        language.twice(bytes(disk.verity)).into(),
        language.hash_slots_about().into(),
    ]);
    if c.recipe.state.disk == StateDisk::Same {
        table.row([Cell::code("var"), language.rest_of_disk().into(), language.state_about().into()]);
    }
    table
}
