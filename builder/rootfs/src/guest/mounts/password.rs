//! User and password of a file server, from a systemd credential to a file in memory that mount.cifs(8) reads.

use crate::guest::Guest;
use crate::guest::ini::Ini;
use crate::guest::sandbox;
use diorite_model::Result;
use diorite_model::recipe::CifsMount;

fn directory(name: &str) -> String {
    format!("diorite-mount-{name}")
}

fn service(name: &str) -> String {
    format!("diorite-mount-{name}-password.service")
}

/// The file, in memory.
pub(super) fn file(name: &str) -> String {
    format!("/run/{}/password", directory(name))
}

/// What the mount unit waits for.
pub(super) fn before(ini: Ini, name: &str) -> Ini {
    ini.set("Requires", service(name)).set("After", service(name))
}

/// mount(8) runs without the credentials of a unit, so that a service has to hand them on.
pub(super) fn generate(guest: &mut Guest, name: &str, cifs: &CifsMount) -> Result<()> {
    let ini = Ini::new()
        .section("Unit")
        .set("Description", format!("Password of mount {name}"))
        .set("DefaultDependencies", "no")
        .set("Before", "shutdown.target")
        .set("Conflicts", "shutdown.target")
        .section("Service")
        .set("Type", "oneshot")
        .set("RemainAfterExit", "yes")
        .set("LoadCredential", format!("password:{}", cifs.credential))
        .set("RuntimeDirectory", directory(name))
        .set("RuntimeDirectoryMode", "0700")
        .set("ExecStart", format!("/usr/bin/install -m 0400 %d/password {}", file(name)));
    guest.unit(&service(name), &sandbox::closed(ini, &[("PrivateTmp", "")]))
}
