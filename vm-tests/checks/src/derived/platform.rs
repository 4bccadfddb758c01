//! A physical machine: that this one is, with the drivers that such machines need.

use crate::{
    answer::{Judged, short, verdict},
    check::Check,
    scope::Scope,
};
use diorite_machine::Output;

/// The drivers of every device on the way to the root's disk and to the network cards, a line each.
const DRIVERS: &str = "root=$(readlink -f /dev/mapper/root); \
    for path in /sys/class/block/${root##*/}/slaves/* /sys/class/net/*/device; do \
    device=$(readlink -f \"$path\"); while test -n \"$device\"; do \
    test -e \"$device/driver\" && basename \"$(readlink -f \"$device/driver\")\"; device=${device%/*}; done; done";

/// In the main boot, the disk is behind a SATA controller and the network behind a card of Intel's.
pub fn checks(scope: &Scope<'_>) -> Vec<Check> {
    if !scope.recipe.platform.is_metal() {
        return Vec::new();
    }
    let main = scope.around.hardware.main;
    let (disk, card) = (main.disk.driver(), main.card.driver());
    let what = format!("the disk works with the driver {disk}, the network card with {card}");
    vec![Check::script("hardware", what, DRIVERS, move |said| found(said, &[disk, card]))]
}

/// Every one of these drivers is in use.
fn found(output: &Output, drivers: &[&str]) -> Judged {
    let has = |driver: &&&str| output.text.lines().any(|line| line == **driver);
    verdict(drivers.iter().all(|driver| has(&driver)), short(&output.text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_on_another_bus_is_seen() {
        let said = |text: &str| Output { status: 0, text: text.to_owned() };
        let wanted = ["ahci", "e1000e"];
        assert!(found(&said("sd\nahci\ne1000e"), &wanted).is_ok());
        assert!(found(&said("virtio_blk\ne1000e"), &wanted).is_err() && found(&said(""), &wanted).is_err());
    }
}
