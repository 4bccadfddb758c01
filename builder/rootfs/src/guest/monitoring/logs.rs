//! `[monitoring.logs]`: systemd-journal-upload(8), told on its command line where the journal goes. It remembers on state
//! what has arrived, so that nothing is lost while its server is away.

use crate::guest::ini::{Ini, word};
use crate::guest::{Guest, sandbox};
use diorite_model::recipe::Logs;
use diorite_model::{Recipe, Result};

/// It reads the journal and asks one server. Its limit of open files is one it raises itself.
const UPLOADER: &[(&str, &str)] = &[
    ("PrivateNetwork", ""),
    ("IPAddressDeny", ""),
    ("RestrictAddressFamilies", "AF_INET AF_INET6 AF_UNIX"),
    ("SystemCallFilter", "@system-service"),
    ("SystemCallFilter", "~@privileged"),
    ("ProtectProc", "invisible"),
    ("TasksMax", "16"),
];

pub(super) fn generate(guest: &mut Guest, recipe: &Recipe) -> Result<()> {
    let Some(logs) = &recipe.monitoring.logs else { return Ok(()) };
    let (url, authorities) = logs.place();
    let own = logs.credential.as_ref().map(|credential| super::credential_file(Logs::UNIT, credential));
    let mut words = vec![format!("--url={url}"), format!("--trust={authorities}")];
    // `-` is none; one without the other is refused.
    let own = own.as_deref().unwrap_or("-");
    words.extend(["key", "cert"].map(|option| format!("--{option}={own}")));
    let words: Vec<String> = words.iter().map(|argument| word(argument)).collect();
    let ini = Ini::new()
        .section("Unit")
        // A server that is away for long is asked again all the same.
        .set("StartLimitIntervalSec", "0")
        .section("Service")
        .set("ExecStart", "")
        .set("ExecStart", format!("/usr/lib/systemd/systemd-journal-upload --save-state {}", words.join(" ")))
        .set("RestartSec", "1s");
    guest.drop_in(Logs::UNIT, &sandbox::closed(super::credentials(ini, recipe, Logs::UNIT), UPLOADER))?;
    guest.enable(Logs::UNIT)
}
