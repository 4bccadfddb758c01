//! What every image promises, whatever its profile says of it: its name, its end, and that its bytes are what they were.

use crate::{
    answer::Judged,
    check::{Check, CheckRun, OtherBoot},
    output::says,
    scope::Scope,
};
use diorite_machine::MachineHardware;
use diorite_model::report::Evidence;
use std::time::Duration;

/// Its host name.
pub fn hostname(scope: &Scope<'_>) -> Check {
    let host = scope.recipe.image.hostname.clone();
    Check::script("hostname", format!("the host name is {host}"), "uname -n", move |said| says(said, &host))
}

/// What ends the machine or has boots of its own, `more` among them; after everything else.
pub fn end(scope: &Scope<'_>, more: Vec<Check>) -> Vec<Check> {
    let (console, hardware) = (Evidence::Console, scope.around.hardware);
    // Each boot of a physical machine has other devices.
    let with = |hardware: MachineHardware| match scope.recipe.platform.is_metal() {
        true => format!(" (disk: {}, network card: {})", hardware.disk.name(), hardware.card.driver()),
        false => String::new(),
    };
    let uninjected = "booted again with nothing injected, the machine passes every check from the network";
    let uninjected = format!("{uninjected}{}", with(hardware.uninjected));
    let tampered = "the machine does not boot with one flipped byte in the root partition";
    let tampered = format!("{tampered}{}", with(hardware.tampered));
    let mut all = vec![
        Check::new("power-off", "the power button shuts the machine down cleanly", console, CheckRun::PowerOff),
        Check::new("untouched", uninjected, Evidence::Outside, CheckRun::OtherBoot(OtherBoot::Uninjected))
            .injected_only(),
        Check::new("tamper-refused", tampered, console, CheckRun::OtherBoot(OtherBoot::Tampered)),
    ];
    all.extend(more);
    all.push(Check::new("disk-unchanged", "the disk is unchanged after all boots", console, CheckRun::DiskUnchanged));
    all
}

/// What the console said from the power button to the end.
pub fn power_off(said: &[String], took: Duration) -> Judged {
    let seconds = took.as_secs_f64();
    let wrong = |l: &&String| ["Failed unmounting", "Failed to unmount", "Timed out"].iter().any(|w| l.contains(w));
    match (said.iter().find(wrong), said.iter().any(|l| l.contains("reboot: Power down"))) {
        (None, true) => Ok(format!("{seconds:.1} s after the power button")),
        (Some(line), _) => Err(line.clone()),
        (None, false) => Err(format!("the machine ended after {seconds:.1} s, and its kernel did not say so")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_that_is_none_is_seen() {
        let said = |line: &str| [line.to_owned(), "[   90.1] reboot: Power down".to_owned()];
        let took = Duration::from_secs(5);
        assert_eq!(power_off(&said("Unmounted var.mount"), took), Ok("5.0 s after the power button".into()));
        assert!(power_off(&said("[FAILED] Failed unmounting var.mount"), took).is_err());
        assert!(power_off(&[], took).is_err(), "the plug was pulled");
    }
}
