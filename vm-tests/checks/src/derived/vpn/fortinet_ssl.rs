//! Tunnels to a FortiGate: the service is there and goes on trying, or says why it does not.

use crate::{answer::Judged, check::Check, quote};
use diorite_machine::Output;
use diorite_model::recipe::FortinetSsl;

/// The service of a tunnel. No gateway is in the lab.
pub(super) fn check(name: &str) -> Check {
    let what = format!("tunnel {name} is up, or waits for its gateway");
    Check::settling_script(format!("vpn-{name}"), what, script(name), judge)
}

/// What [`judge`] reads.
fn script(name: &str) -> String {
    let unit = quote::word(&FortinetSsl::unit(name));
    format!(
        "systemctl show -p LoadState -p ActiveState -- {unit}; journalctl -b -o cat -p err -n 1 -u {unit} | sed 's/^/said:/'"
    )
}

/// `systemctl show`, and the last error of the service.
fn judge(output: &Output) -> Judged {
    let of = |word: &str| output.text.lines().find_map(|line| line.strip_prefix(word)).unwrap_or_default();
    match (of("LoadState="), of("ActiveState=")) {
        ("loaded", state @ ("active" | "activating")) => Ok(state.to_owned()),
        ("loaded", state) => Err(Some(of("said:")).filter(|s| !s.is_empty()).unwrap_or(state).to_owned()),
        (state, _) => Err(format!("its service is {state}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tunnel_that_gave_up_says_why() {
        let asked = |text: &str| judge(&Output { status: 0, text: text.to_owned() });
        for state in ["active", "activating"] {
            assert_eq!(asked(&format!("LoadState=loaded\nActiveState={state}\n")), Ok(state.into()));
        }
        let missing = "tunnel site: the credential vpn.password.site is missing";
        assert_eq!(asked(&format!("LoadState=loaded\nActiveState=failed\nsaid:{missing}\n")), Err(missing.into()));
        assert_eq!(asked("LoadState=loaded\nActiveState=inactive\n"), Err("inactive".into()));
        assert_eq!(asked("LoadState=not-found\nActiveState=inactive\n"), Err("its service is not-found".into()));
        quote::tests::harmless(script);
    }
}
