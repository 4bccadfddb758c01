//! Services that outlive bad luck: whether a new image may stay, and what is tried again when it has failed.

use super::Guest;
use super::ini::Ini;
use super::{firewall, monitoring, sandbox};
use diorite_model::{Recipe, Result};

const HEALTH: &str = "diorite-health.service";
const RESTART: &str = "diorite-restart.service";
const RETRY: &str = "diorite-retry";
/// Decides whether a restart can help.
const MAY_RESTART: &str = "usr/lib/diorite/may-restart";
/// Waits for the units without which a machine is of no use.
const WAIT_ACTIVE: &str = "usr/lib/diorite/wait-active";
/// Starts what has failed.
const START_FAILED: &str = "usr/lib/diorite/start-failed";
/// The entry that was booted, when it still counts its tries: systemd-boot(7), `LoaderBootCountPath`.
const COUNTING: &str = "/sys/firmware/efi/efivars/LoaderBootCountPath-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
/// Tries an entry has before the boot loader prefers an older one; its name begins to count there.
pub const TRIES: u32 = 3;

/// Units without which a machine is of no use.
fn vital(recipe: &Recipe) -> Vec<String> {
    let mut units: Vec<String> =
        [firewall::UNIT, "ssh.service", "systemd-networkd.service", "systemd-resolved.service"].map(Into::into).into();
    units.extend(recipe.containers.keys().map(|name| format!("{name}.service")));
    if recipe.monitoring.node_exporter.is_some() {
        units.push("prometheus-node-exporter.service".into());
    }
    units
}

/// The gate between a boot and its blessing, and another attempt every minute for what has failed.
pub(super) fn generate(guest: &mut Guest, recipe: &Recipe) -> Result<()> {
    let mut units = vital(recipe);
    gate(guest, &units)?;
    let own = recipe.services.units.iter().filter(|(_, unit)| unit.timer.is_none());
    units.extend(own.map(|(name, _)| format!("{name}.service")));
    // One that lacks a credential must not take the machine away from those who can bring it.
    units.extend(monitoring::units(recipe).into_iter().map(str::to_owned));
    retry(guest, &units)
}

/// systemd-bless-boot.service(8): while the entry still counts its tries, a vital unit that is not active restarts the
/// machine, and the boot loader takes the other slot when none is left. Where there is no other, it comes back to the
/// same one: then the machine stays up, for somebody to look at it.
///
/// A busy hypervisor makes a first start run into its time limit, and the next one is under way when everything else is
/// there: such a unit is waited for. One that has used up its attempts is not.
fn gate(guest: &mut Guest, units: &[String]) -> Result<()> {
    let health = Ini::new()
        .section("Unit")
        .set("Description", "Health of an image that is not yet blessed")
        .set("ConditionPathExists", COUNTING)
        .set("After", format!("multi-user.target {}", units.join(" ")))
        .set("Before", "boot-complete.target")
        .set("OnFailure", RESTART)
        .section("Service")
        .set("Type", "oneshot")
        .set("RemainAfterExit", "yes")
        .set("ExecStart", format!("/{WAIT_ACTIVE} {}", units.join(" ")))
        .set("TimeoutStartSec", "20min");
    let health = sandbox::closed(health, &[]).section("Install").set("RequiredBy", "boot-complete.target");
    guest.unit(HEALTH, &health)?;
    guest.file(WAIT_ACTIVE, 0o755, WAIT_ACTIVE_SCRIPT)?;
    guest.enable(HEALTH)?;
    let restart = Ini::new()
        .section("Unit")
        .set("Description", "Restart of an image that is not healthy")
        .set("SuccessAction", "reboot")
        .section("Service")
        .set("Type", "oneshot")
        .set("ExecStart", format!("/{MAY_RESTART} {COUNTING} {TRIES}"))
        .set("StandardOutput", "journal+console");
    guest.unit(RESTART, &sandbox::closed(restart, &[]))?;
    guest.file(MAY_RESTART, 0o755, MAY_RESTART_SCRIPT)
}

/// A unit that has used up its own attempts has failed, and is seen as such; nobody has to be there for it to be tried
/// again. One that somebody has stopped stays so.
fn retry(guest: &mut Guest, units: &[String]) -> Result<()> {
    let service = Ini::new()
        .section("Unit")
        .set("Description", "Another attempt for services that have failed")
        .section("Service")
        .set("Type", "oneshot")
        .set("ExecStart", format!("/{START_FAILED} {}", units.join(" ")));
    // PID 1 asks who wants a unit started whether he administers the system.
    guest.unit(
        &format!("{RETRY}.service"),
        &sandbox::closed(
            service,
            &[("CapabilityBoundingSet", "CAP_SYS_ADMIN"), ("SystemCallFilter", "@system-service")],
        ),
    )?;
    let timer = format!("{RETRY}.timer");
    let ini = Ini::new()
        .section("Unit")
        .set("Description", "Another attempt for services that have failed, every minute")
        .section("Timer")
        .set("OnActiveSec", "3min")
        .set("OnUnitInactiveSec", "1min")
        .section("Install")
        .set("WantedBy", "timers.target");
    guest.unit(&timer, &ini)?;
    guest.file(START_FAILED, 0o755, START_FAILED_SCRIPT)?;
    guest.enable(&timer)
}

/// `wait-active UNIT...`: 0 once all are active, 1 as soon as one has failed for good. The unit of the caller limits the time.
const WAIT_ACTIVE_SCRIPT: &str = "#!/bin/sh
while :; do
  waiting=
  for unit; do
    state=$(systemctl is-active \"$unit\")
    case $state in
    active) ;;
    failed)
      echo \"$unit has failed\"
      exit 1
      ;;
    *) waiting=\"$waiting $unit ($state)\" ;;
    esac
  done
  [ -n \"$waiting\" ] || exit 0
  [ \"$waiting\" = \"$before\" ] || echo \"waiting for$waiting\"
  before=$waiting
  sleep 2
done
";

/// `may-restart VARIABLE TRIES`: an entry is named `...+LEFT-DONE.efi`, in UTF-16 behind four bytes of attributes. A variable
/// cannot be read from its middle: tail(1) fails on it. Where nobody can tell how often the image was started, it stays.
const MAY_RESTART_SCRIPT: &str = "#!/bin/sh
entry=$(tr -d '\\000' <\"$1\")
tried=${entry##*-}
tried=${tried%.efi}
case $tried in
'' | *[!0-9]*)
  echo \"This image is not healthy, and how often it was started cannot be told: the machine stays up as it is.\"
  exit 1
  ;;
esac
if [ \"$tried\" -le \"$2\" ]; then
  echo \"This image is not healthy after boot $tried of $2: the machine restarts.\"
  exit 0
fi
echo \"This image was not healthy after $2 boots, and there is no other: the machine stays up as it is.\"
exit 1
";

/// `start-failed UNIT...`
const START_FAILED_SCRIPT: &str = "#!/bin/sh
for unit; do
  if systemctl is-failed --quiet \"$unit\"; then
    echo \"$unit has failed: it is started again\"
    systemctl reset-failed \"$unit\"
    systemctl start --no-block \"$unit\"
  fi
done
";

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// What the script says and whether the machine restarts, for an entry of this name.
    fn may_restart(entry: &str) -> (bool, String) {
        let directory = tempfile::tempdir().unwrap();
        let (script, variable) = (directory.path().join("script"), directory.path().join("variable"));
        let utf16: Vec<u8> = entry.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
        diorite_host::file::write_scratch(&script, MAY_RESTART_SCRIPT.as_bytes()).unwrap();
        diorite_host::file::write_scratch(&variable, [&[6, 0, 0, 0], &utf16[..]].concat()).unwrap();
        let output = Command::new("sh").arg(script).arg(variable).arg(TRIES.to_string()).output().unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    }

    /// What the gate says and whether it lets the image pass, where `systemctl is-active` answers with these, one after
    /// the other, for each unit.
    fn gate_of(answers: &[(&str, &[&str])]) -> (bool, String) {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = directory.path().join(name);
            diorite_host::file::write_scratch(&path, text.as_bytes()).unwrap();
            path
        };
        for (unit, states) in answers {
            file(unit, &states.iter().map(|state| format!("{state}\n")).collect::<String>());
        }
        // The first line of the unit's file is its state; it goes, unless it is the last.
        let systemctl = "systemctl() {
  head -n 1 \"$2\"
  if [ \"$(wc -l <\"$2\")\" -gt 1 ]; then sed -i 1d \"$2\"; fi
}
sleep() { :; }
";
        let script = file("script", &format!("{systemctl}{WAIT_ACTIVE_SCRIPT}"));
        let units = answers.iter().map(|(unit, _)| unit);
        let output = Command::new("sh").arg(script).args(units).current_dir(&directory).output().unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    }

    #[test]
    fn a_slow_start_is_waited_for_and_a_failed_one_is_not() {
        let (passed, said) =
            gate_of(&[("db", &["active"]), ("app", &["activating", "inactive", "activating", "active"])]);
        assert!(passed, "{said}");
        assert_eq!(said, "waiting for app (activating)\nwaiting for app (inactive)\nwaiting for app (activating)\n");
        assert_eq!(gate_of(&[("db", &["active"]), ("web", &["active"])]), (true, String::new()));
        let (passed, said) = gate_of(&[("db", &["activating", "failed"]), ("app", &["activating"])]);
        assert!(!passed && said.ends_with("db has failed\n"), "{said}");
    }

    #[test]
    fn a_machine_without_another_image_does_not_restart_for_ever() {
        for (entry, restarts) in
            [("+2-1", true), ("+0-3", true), ("+0-4", false), ("+0-17", false), ("", false), ("-rc-x", false)]
        {
            let (may, said) = may_restart(&format!("\\EFI\\Linux\\server-2_1{entry}.efi"));
            assert_eq!(may, restarts, "{entry}: {said}");
            assert_eq!(said.lines().count(), 1, "{said}");
        }
    }
}
