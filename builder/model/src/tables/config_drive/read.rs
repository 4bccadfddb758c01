//! `[config_drive]`: values that a machine is given on a drive.

use crate::Result;
use crate::profile::{field::*, section::Section, values, written::Written};
use crate::recipe::*;

pub(crate) const CONFIG_DRIVE: &[Field] =
    &[
        texts("signers", &values::SSH_KEY, "public keys (`ssh-ed25519`) of those whose config drives are taken")
            .or_said("no signed drive is taken; then `nocloud` must be true"),
        boolean(
            "nocloud",
            "take name, addresses and SSH keys from a cloud-init drive of Proxmox VE where no signed drive is; nobody has \
             signed it: whoever can attach a drive to the machine decides what it is called, which addresses it has and who \
             may log in",
        )
        .or(false),
    ];

pub(crate) fn config_drive(top: &Section) -> Result<Option<ConfigDrive>> {
    let Some(t) = top.table("config_drive")? else { return Ok(None) };
    let signers = t.texts("signers")?;
    for signer in &signers {
        if !signer.value.starts_with("ssh-ed25519 ") {
            let what = "a config drive is signed by a key of the type `ssh-ed25519`";
            return Err(t.files.error(signer.span, what).hint("make one: ssh-keygen -t ed25519 -f config-drive-key"));
        }
    }
    let nocloud = t.flag("nocloud")?;
    if signers.is_empty() && !nocloud {
        let span = t.key("signers").unwrap_or(t.span);
        return Err(t.files.error(span, "`[config_drive]` has no signing keys").hint(
            "name a public key in `signers`; or write `nocloud = true`, and whoever can attach a drive decides for the machine",
        ));
    }
    Ok(Some(ConfigDrive { signers: signers.into_iter().map(|s| s.value).collect(), nocloud }))
}

/// The table that says this.
pub(crate) fn written(drive: &ConfigDrive) -> Written {
    Written::default().list("signers", &drive.signers).with("nocloud", drive.nocloud)
}
