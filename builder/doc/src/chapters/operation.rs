//! How to look after the machine: update, roll back, see what runs, and reach it when the network is gone.

use crate::content::{Block, Cell, DocumentSection};
use crate::context::DocumentContext;
use diorite_model::recipe::{Encryption, RootLogin, StateDisk};

pub(super) fn section(c: &DocumentContext) -> DocumentSection {
    let (recipe, language, profile) = (c.recipe, c.language, c.profile);
    let mut blocks = vec![
        Block::Text(language.operation_about().into()),
        Block::Heading(language.change_and_update()),
        Block::List(vec![
            language.update_1(profile).into(),
            language.update_2().into(),
            language.update_3().into(),
            language.update_4().into(),
        ]),
        Block::Commands(vec![
            format!("diorite lock {profile} --update"),
            format!("diorite image {profile}"),
            format!("diorite deploy {profile} --target TARGET --plan"),
            format!("diorite deploy {profile} --target TARGET"),
            format!("diorite doc {profile}"),
        ]),
    ];
    if recipe.state.disk == StateDisk::Same {
        blocks.push(Block::Remark(language.same_disk_warning().into()));
    }
    blocks.push(Block::Facts(vec![(
        language.evidence(),
        c.evidence.of_checks(&["boot-blessed", "untouched", "disk-unchanged"]),
    )]));
    blocks.extend([
        Block::Heading(language.roll_back()),
        Block::Text(language.roll_back_about(c.settings.machine.keep).into()),
        Block::Commands(vec![
            format!("diorite status {profile} --target TARGET"),
            format!("diorite rollback {} --target TARGET", recipe.image.hostname),
        ]),
        Block::Heading(language.when_network_is_gone()),
        Block::List(without_network(c)),
        Block::Heading(language.look_closer()),
        Block::Text(language.run_about().into()),
        Block::Commands(vec![format!("diorite run {profile} --shell")]),
    ]);
    DocumentSection { id: "operation", title: language.chapter_operation(), blocks }
}

fn without_network(c: &DocumentContext) -> Vec<Cell> {
    let (recipe, language) = (c.recipe, c.language);
    let mut all: Vec<Cell> = vec![language.console_about().into()];
    let drive = recipe.config_drive.as_ref();
    if drive.is_some_and(|d| !d.signers.is_empty()) {
        all.push(language.by_config_drive().into());
    }
    if recipe.nocloud() {
        all.push(language.by_cloud_drive().into());
    }
    if recipe.access.root_login == RootLogin::Credential {
        all.push(Cell::from(language.by_root_credential()).then(Cell::code("ssh.authorized_keys.root")).then("."));
    }
    all.push(language.by_rollback().into());
    if recipe.state.encryption == Encryption::Tpm2 {
        all.push(language.recovery_key().into());
    }
    if recipe.state.disk == StateDisk::Own {
        all.push(language.data_stays().into());
    }
    all
}
