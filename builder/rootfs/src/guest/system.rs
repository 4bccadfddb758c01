//! What every image lacks, whatever its profile says: units that would write to the image or ask for a password.

use super::Guest;
use super::ini::Ini;
use diorite_model::Result;

/// Shipped by the packages of the image, and useless or harmful on a read-only root.
const DISABLED: [&str; 6] = [
    "e2scrub_all.timer",    // needs LVM
    "e2scrub_reap.service", // the same
    "getty@tty1.service",   // nobody has a password
    "netavark-dhcp-proxy.service",
    "netavark-dhcp-proxy.socket",
    "netavark-firewalld-reload.service",
];
const MASKED: [&str; 6] = [
    "apt-daily-upgrade.timer", // an image is replaced as a whole
    "apt-daily.timer",
    "dpkg-db-backup.timer",             // the database does not change
    "systemd-boot-random-seed.service", // waits for the boot partition, twenty seconds under emulation
    "systemd-boot-update.service",      // the boot manager belongs to the image
    "systemd-firstboot.service",        // asks on the console
];
/// A listener nobody declared, and login prompts for passwords nobody has.
const GENERATORS: [&str; 2] = ["systemd-ssh-generator", "systemd-getty-generator"];

pub(super) fn generate(guest: &mut Guest) -> Result<()> {
    guest.link("etc/systemd/system/default.target", "/usr/lib/systemd/system/multi-user.target")?;
    for unit in DISABLED {
        guest.disable(unit);
    }
    for unit in MASKED {
        guest.mask(unit)?;
    }
    for generator in GENERATORS {
        guest.link(&format!("etc/systemd/system-generators/{generator}"), "/dev/null")?;
    }
    let terminals = Ini::new().section("Login").set("NAutoVTs", "0").set("ReserveVT", "0");
    guest.file("etc/systemd/logind.conf.d/10-diorite.conf", 0o644, terminals.finish()?)
}
