//! All ports of a machine, asked while something may happen in it.

use super::stage::ScenarioStage;
use crate::{
    answer::{Judged, short},
    derived::firewall::churn,
};
use diorite_lab::{PortVerdict, Scan, ScanProbe};
use diorite_model::{Result, scenario::Churn};

/// How often at least something happens in a machine that is swept.
const CHURNS: u32 = 4;

/// What a sweep is to see.
pub struct ExpectedPorts<'a> {
    pub open: &'a [u16],
    pub maybe: &'a [u16],
    pub meanwhile: &'a [Churn],
}

impl ScenarioStage<'_> {
    /// Every port, over and over while something happens in the machine; how often that happened is said.
    pub fn scan(
        &mut self,
        machine: usize,
        segment: usize,
        probe: ScanProbe,
        ports: ExpectedPorts<'_>,
    ) -> Result<Judged> {
        let lab = self.lab.at(segment)?;
        let mut pending = lab.begin(probe.clone())?;
        if ports.meanwhile.is_empty() {
            return Ok(swept(&lab.wait_for(&pending)?, &ports, 0));
        }
        let restart = ports.meanwhile.contains(&Churn::RestartContainers);
        let containers: Vec<String> = match restart {
            true => self.recipe(machine).containers.keys().cloned().collect(),
            false => Vec::new(),
        };
        let mut judged = Ok(String::new());
        let mut sweeps = 0;
        for churns in 1.. {
            let said = self.run(machine, &churn(&containers))?;
            if !said.success() {
                return Ok(Err(format!("it did not succeed: {}", short(&said.text))));
            }
            // Where a sweep is quicker than what it is to see, the next one begins at once.
            let Some(scan) = lab.finished(&pending)? else { continue };
            sweeps += 1;
            judged = swept(&scan, &ports, churns).map(|seen| format!("{sweeps} sweeps, the last: {seen}"));
            if judged.is_err() || churns >= CHURNS {
                break;
            }
            pending = lab.begin(probe.clone())?;
        }
        Ok(judged)
    }
}

/// What a sweep saw: these ports open, all others silent.
fn swept(scan: &Scan, &ExpectedPorts { open, maybe, .. }: &ExpectedPorts<'_>, churns: u32) -> Judged {
    if !scan.witnessed {
        return Err("silent, but so was everything else".to_owned());
    }
    let words = |wrong: &[(&u16, &PortVerdict)]| {
        let list: Vec<String> = wrong.iter().take(10).map(|(p, v)| format!("{p} {v:?}")).collect();
        list.join(", ").to_lowercase()
    };
    let missing: Vec<(&u16, &PortVerdict)> =
        scan.verdicts.iter().filter(|(p, v)| open.contains(p) && **v != PortVerdict::Open).collect();
    let more: Vec<(&u16, &PortVerdict)> = scan
        .verdicts
        .iter()
        .filter(|(p, v)| !open.contains(p) && !maybe.contains(p) && **v != PortVerdict::Silent)
        .collect();
    let churned = if churns > 0 { format!(", {churns} times anew meanwhile") } else { String::new() };
    match (&missing[..], &more[..]) {
        ([], []) => Ok(format!(
            "{} ports in {:.1} s: {} open, all others silent{churned}",
            scan.verdicts.len(),
            scan.took.as_secs_f64(),
            open.len()
        )),
        ([], more) => Err(format!("{} ports answer that must not: {}{churned}", more.len(), words(more))),
        (missing, _) => Err(format!("not open: {}{churned}", words(missing))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_sweep_finds_what_is_open_and_must_not_be() {
        let scan = |verdicts: &[(u16, PortVerdict)], witnessed| Scan {
            verdicts: verdicts.iter().copied().collect(),
            witnessed,
            rounds: 2,
            took: Duration::from_secs(1),
        };
        let seen = [(22, PortVerdict::Open), (80, PortVerdict::Silent), (9100, PortVerdict::Closed)];
        let judge =
            |open: &[u16], maybe: &[u16]| swept(&scan(&seen, true), &ExpectedPorts { open, maybe, meanwhile: &[] }, 0);
        assert!(judge(&[22], &[9100]).is_ok());
        assert_eq!(judge(&[22], &[]).expect_err("closed"), "1 ports answer that must not: 9100 closed");
        assert_eq!(judge(&[22, 80], &[9100]).expect_err("silent"), "not open: 80 silent");
        assert_eq!(judge(&[], &[9100]).expect_err("open"), "1 ports answer that must not: 22 open");
        let ports = ExpectedPorts { open: &[22], maybe: &[9100], meanwhile: &[] };
        assert!(swept(&scan(&seen, false), &ports, 0).is_err(), "silence is not proven");
    }
}
