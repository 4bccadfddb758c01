//! Secure Boot: the firmware enforces it with the disk's own keys, the kernel knows, and neither another kernel image nor another
//! command line is started.

use crate::{
    answer::{Judged, Unanswered, verdict},
    check::{Check, CheckRun, OtherBoot},
    scope::Scope,
};
use diorite_machine::Output;
use diorite_model::report::Evidence;

/// The fifth byte of two variables, behind their attributes (UEFI specification §3.3), and the kernel's own word.
const ASK: &str = "for v in SecureBoot SetupMode; do \
     echo \"$v:$(od -An -tu1 -j4 /sys/firmware/efi/efivars/$v-8be4df61-93ca-11d2-aa0d-00e098032b8c | tr -d ' ')\"; done; \
     echo \"lockdown:$(cat /sys/kernel/security/lockdown)\"";

/// What is asked in the machine.
pub fn checks(scope: &Scope<'_>) -> Vec<Check> {
    if scope.recipe.signing.is_none() {
        return Vec::new();
    }
    let what = "Secure Boot is enforced with the image's own keys, and the kernel is locked down";
    if !scope.around.own_keys {
        let why = "a person gives the firmware its keys: `enroll = \"manual\"`";
        return vec![Check::inside("secure-boot", what, move |_| Err(Unanswered::Skipped(why.to_owned())))];
    }
    vec![Check::script("secure-boot", what, ASK, enforced)]
}

/// What has boots of its own.
pub fn boots(scope: &Scope<'_>) -> Vec<Check> {
    if !scope.around.own_keys {
        return Vec::new();
    }
    let one = |id, what: &str, boot| Check::new(id, what, Evidence::Console, CheckRun::OtherBoot(boot));
    vec![
        one("alteration-refused", "a kernel image with another command line is not started", OtherBoot::Altered),
        one("addition-refused", "a word added to the command line from outside ends the boot", OtherBoot::Added),
    ]
}

/// Lines `SecureBoot:1`, `SetupMode:0`, `lockdown:none [integrity] confidentiality`.
fn enforced(output: &Output) -> Judged {
    let value = |name: &str| {
        let line = output.text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap_or("unknown").trim()
    };
    let (secure, setup, lockdown) = (value("SecureBoot"), value("SetupMode"), value("lockdown"));
    let locked = lockdown.contains("[integrity]") || lockdown.contains("[confidentiality]");
    let good = secure == "1" && setup == "0" && locked;
    verdict(good, format!("SecureBoot {secure}, SetupMode {setup}, lockdown {lockdown}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn firmware_that_enforces_nothing_is_seen() {
        let said = |secure: &str, setup: &str, lockdown: &str| {
            let text = format!("SecureBoot:{secure}\nSetupMode:{setup}\nlockdown:{lockdown}\n");
            enforced(&Output { status: 0, text })
        };
        let locked = "none [integrity] confidentiality";
        assert!(said("1", "0", locked).is_ok());
        assert!(said("0", "0", locked).is_err() && said("1", "1", locked).is_err(), "not enforced");
        assert!(said("0", "1", "[none] integrity confidentiality").is_err());
        assert!(said("1", "0", "[none] integrity confidentiality").is_err(), "the kernel does not know");
        assert!(said("", "", "").is_err(), "no such variables");
    }
}
