//! The services of a profile, and that the system as a whole has come up.

use crate::{
    answer::{Judged, short, verdict},
    check::{Check, Phase},
    quote,
    scope::Scope,
};
use diorite_machine::Output;

/// The system has settled, and nothing has failed on the way.
pub fn settled() -> Vec<Check> {
    let running = "systemctl is-system-running --wait";
    let failed = "systemctl list-units --failed --no-legend --plain";
    vec![
        Check::script("running", "systemd reports the system as running", running, self::running)
            .phase(Phase::Settled)
            .of_the_boot(),
        Check::script("no-failed-unit", "no unit has failed", failed, no_failed_unit),
    ]
}

/// Each service of the profile's own runs or has ended well; with a timer, that waits for its time.
pub fn checks(scope: &Scope<'_>) -> Vec<Check> {
    let one = |(name, timer): (&String, bool)| {
        let what = format!(
            "service {name} {}",
            if timer { "has an active timer and has not failed" } else { "runs or has finished successfully" }
        );
        Check::settling_script(format!("service-{name}"), what, script(name, timer), move |said| service(said, timer))
    };
    scope.recipe.services.units.iter().map(|(name, unit)| one((name, unit.timer.is_some()))).collect()
}

/// What [`service`] reads.
fn script(name: &str, timer: bool) -> String {
    let of = |kind| {
        let unit = quote::word(&format!("{name}.{kind}"));
        format!("systemctl show -p ActiveState,Result,ExecMainStatus -- {unit}")
    };
    if timer { format!("{}; {}", of("service"), of("timer")) } else { of("service") }
}

/// `systemctl is-system-running`, systemctl(1).
pub fn running(output: &Output) -> Judged {
    verdict(output.text.trim() == "running", short(&output.text))
}

/// `systemctl list-units --failed --no-legend --plain`.
fn no_failed_unit(output: &Output) -> Judged {
    match output.success() && output.text.is_empty() {
        true => Ok("none".to_owned()),
        false => Err(short(&output.text)),
    }
}

/// `systemctl show` of a service, and of its timer behind it, systemctl(1).
fn service(output: &Output, timer: bool) -> Judged {
    let said = |key: &str| output.text.lines().filter_map(|l| l.strip_prefix(key)).collect::<Vec<_>>();
    let (active, results) = (said("ActiveState="), said("Result="));
    let service =
        active.first().is_some_and(|a| if timer { *a != "failed" } else { *a == "active" || *a == "inactive" });
    let fine = service && results.iter().all(|r| *r == "success") && said("ExecMainStatus=").first() == Some(&"0");
    let waiting = !timer || active.get(1) == Some(&"active");
    verdict(fine && waiting, short(&output.text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn out(status: i32, text: &str) -> Output {
        Output { status, text: text.to_owned() }
    }

    #[test]
    fn a_service_that_does_not_run_is_seen() {
        let said = |active: &str, result: &str, status: &str| {
            format!("Result={result}\nExecMainStatus={status}\nActiveState={active}\n")
        };
        let (runs, ended) = (said("active", "success", "0"), said("inactive", "success", "0"));
        assert!(service(&out(0, &runs), false).is_ok() && service(&out(0, &ended), false).is_ok());
        assert!(service(&out(0, &said("failed", "exit-code", "1")), false).is_err());
        assert!(service(&out(0, &said("activating", "exit-code", "0")), false).is_err(), "it restarts for ever");
        assert!(service(&out(0, "ActiveState=inactive\n"), false).is_err(), "there is no such unit");
        assert!(service(&out(0, &format!("{ended}\nActiveState=active\nResult=success\n")), true).is_ok());
        assert!(service(&out(0, &format!("{ended}\nActiveState=inactive\nResult=success\n")), true).is_err());
    }

    #[test]
    fn systemd() {
        assert!(running(&out(0, "running")).is_ok());
        for bad in ["degraded", "starting", "maintenance", ""] {
            assert!(running(&out(1, bad)).is_err(), "{bad}");
        }
        assert!(no_failed_unit(&out(0, "")).is_ok());
        assert!(no_failed_unit(&out(0, "web.service loaded failed failed web")).is_err());
        assert!(no_failed_unit(&out(127, "")).is_err(), "a systemctl that cannot run proves nothing");
    }

    #[test]
    fn names_are_words() {
        quote::tests::harmless(|hostile| script(hostile, true));
    }
}
