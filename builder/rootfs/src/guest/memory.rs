//! The table `[memory]`: a swap file on state, made at the first boot, and a swap device in memory, zram-generator.conf(5).

use super::Guest;
use super::ini::Ini;
use super::sandbox;
use super::units::escaped_path;
use diorite_model::recipe::Memory;
use diorite_model::{Recipe, Result};

const MAKER: &str = "diorite-swap.service";

pub(super) fn generate(guest: &mut Guest, recipe: &Recipe) -> Result<()> {
    if let Some(bytes) = recipe.memory.zram {
        // In MiB, whatever the machine has.
        let text = format!("[zram0]\nzram-size = {}\ncompression-algorithm = zstd\nswap-priority = 100\n", bytes >> 20);
        guest.file("etc/systemd/zram-generator.conf", 0o644, text)?;
    }
    let Some(bytes) = recipe.memory.swap else { return Ok(()) };
    let (file, unit) = (Memory::SWAP_FILE, format!("{}.swap", escaped_path(Memory::SWAP_FILE)));
    // mkswap(8) makes a file that every file system can swap to; one of another size is made anew.
    let script = format!(
        "test \"$(stat -c %%s {file} 2>/dev/null)\" = {bytes} || {{ rm -f {file} && \
         mkswap --quiet --file --size {bytes} {file}; }}"
    );
    let maker = Ini::new()
        .section("Unit")
        .set("Description", "Make the swap file")
        .set("DefaultDependencies", "no")
        .set("RequiresMountsFor", "/var/lib")
        .set("Before", format!("{unit} shutdown.target"))
        .set("Conflicts", "shutdown.target")
        .section("Service")
        .set("Type", "oneshot")
        .set("RemainAfterExit", "yes")
        .set("StateDirectory", "diorite")
        .set("ExecStart", format!("/bin/sh -euc '{}'", script.replace('$', "$$")));
    guest.unit(MAKER, &sandbox::closed(maker, &[("PrivateTmp", "")]))?;
    let swap = Ini::new()
        .section("Unit")
        .set("Description", "Swap file")
        .set("Requires", MAKER)
        .set("After", MAKER)
        .section("Swap")
        .set("What", file)
        .section("Install")
        .set("WantedBy", "swap.target");
    guest.unit(&unit, &swap)?;
    guest.enable(&unit)
}
