//! Machines are switched on, start anew, and are switched off.

use super::stage::{ANEW, ScenarioStage};
use crate::{answer::Judged, derived::services};
use diorite_machine::{AlarmKind, Machine, Watch};
use diorite_model::{
    Result,
    scenario::{RestartKind, Until},
};
use std::time::{Duration, Instant};

/// How often a machine that is to end is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// Time after which a power button that did nothing is pressed again; on a slow host more, in proportion.
const PRESSED: Duration = Duration::from_secs(10);

/// No machine boots in so short a time.
const ONE_RESTART: Duration = Duration::from_secs(5);

impl ScenarioStage<'_> {
    /// Switches machines on, as many together as there are processors for, and waits for each. Under emulation more of them
    /// would only be slower, and a guest gives its disk up after 90 s.
    pub fn boot(&mut self, machines: &[usize], until: Until, restarts: u32) -> Result<Judged> {
        let mut waiting: Vec<usize> = machines.iter().map(|n| self.place(*n)).collect();
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let mut seen = Vec::new();
        while !waiting.is_empty() {
            let cpus = |place: &usize| self.scenario.machines[self.actors[*place].kind].cpus as usize;
            let fit = (1..=waiting.len()).rev().find(|n| waiting[..*n].iter().map(cpus).sum::<usize>() <= processors);
            let together = if until == Until::Started { waiting.len() } else { fit.unwrap_or(1) };
            let places: Vec<usize> = waiting.drain(..together).collect();
            for place in &places {
                self.start(*place)?;
            }
            for place in places {
                self.restarting(place, restarts)?;
                match self.up(place, until)? {
                    Ok(words) => seen.push(words),
                    wrong => return Ok(wrong),
                }
            }
        }
        Ok(Ok(seen.join("; ")))
    }

    /// Waits until a machine has restarted by itself so often, as one does whose image fails before it is blessed.
    fn restarting(&self, place: usize, times: u32) -> Result<()> {
        if times == 0 {
            return Ok(());
        }
        let (machine, watch) = self.at_work(place)?;
        machine.may_restart(true)?;
        let mut watch = watch.expecting(&ANEW);
        let before = restarts(machine);
        while restarts(machine) < before + times as usize {
            watch.check()?;
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    /// Waits for a machine that was switched on.
    pub fn up(&mut self, place: usize, until: Until) -> Result<Judged> {
        let name = self.actors[place].name.clone();
        if until == Until::Started {
            return Ok(Ok(format!("{name} is on")));
        }
        let (machine, mut watch) = self.at_work(place)?;
        machine.wait_shell(&mut watch)?;
        let said = match until {
            Until::Running => services::running(&machine.run(RUNNING, &mut watch)?),
            _ => Ok("its shell answers".to_owned()),
        };
        // From now on an unexpected restart ends QEMU, so that it is noticed.
        machine.may_restart(false)?;
        let seconds = machine.uptime().as_secs_f64();
        drop(watch);
        self.actors[place].shell = true;
        Ok(match said {
            Ok(words) => Ok(format!("{name}: {words} {seconds:.1} s after it was first switched on")),
            Err(words) => Err(format!("{name}: {words}")),
        })
    }

    /// Starts a machine anew, so often.
    pub fn restart(&mut self, machine: usize, how: RestartKind, times: u32, until: Until) -> Result<Judged> {
        let place = self.place(machine);
        let mut last = Ok(String::new());
        for _ in 0..times {
            self.anew(place, how)?;
            last = self.up(place, until)?;
            if last.is_err() {
                break;
            }
        }
        Ok(last.map(|seen| format!("{times} times; {seen}")))
    }

    /// Lets it go down and come up.
    fn anew(&mut self, place: usize, how: RestartKind) -> Result<()> {
        self.actors[place].shell = false;
        let (machine, watch) = self.at_work(place)?;
        let mut watch = watch.expecting(&ANEW);
        machine.may_restart(true)?;
        let before = restarts(machine);
        match how {
            RestartKind::Reset => return machine.reset(),
            RestartKind::Reboot => {
                machine.run("systemctl reboot --no-block", &mut watch)?;
                while restarts(machine) == before {
                    watch.check()?;
                    std::thread::sleep(LOOK);
                }
            }
            RestartKind::PowerCycle => {
                machine.power_button()?;
                until_off(machine, &mut watch)?;
                machine.on()?;
            }
        }
        Ok(())
    }

    /// Presses the power button of machines and waits until they are off. They can be switched on again.
    pub fn power_off(&mut self, machines: &[usize]) -> Result<Judged> {
        let places: Vec<usize> = machines.iter().map(|n| self.place(*n)).collect();
        for place in &places {
            let (machine, _) = self.at_work(*place)?;
            machine.may_restart(true)?;
            machine.power_button()?;
        }
        for place in &places {
            let (machine, watch) = self.at_work(*place)?;
            until_off(machine, &mut watch.expecting(&ANEW))?;
            let actor = &mut self.actors[*place];
            (actor.off, actor.shell) = (true, false);
        }
        Ok(Ok(format!("{} off", places.len())))
    }
}

/// Restarts that its console has told of. The kernel says each in two lines.
fn restarts(machine: &Machine) -> usize {
    let mut told: Vec<Duration> = Vec::new();
    for alarm in machine.console.alarms().iter().filter(|alarm| alarm.kind == AlarmKind::Restarting) {
        if told.last().is_none_or(|last| alarm.at > *last + ONE_RESTART) {
            told.push(alarm.at);
        }
    }
    told.len()
}

/// Waits for a machine whose power button was pressed. It is pressed again when nothing came of it, as a person would: a
/// machine may be up before it has a driver for its button, and a press until then is lost.
fn until_off(machine: &Machine, watch: &mut Watch<'_>) -> Result<()> {
    let mut pressed = Instant::now();
    while !machine.off()? {
        watch.check()?;
        if pressed.elapsed() > PRESSED.mul_f64(machine.pace.unit.as_secs_f64().max(1.0)) {
            machine.power_button()?;
            pressed = Instant::now();
        }
        std::thread::sleep(LOOK);
    }
    Ok(())
}

/// What systemd says of the whole, and which units are to blame.
const RUNNING: &str = "systemctl is-system-running --wait || systemctl list-units --failed --no-legend --plain";
