//! Machines are asked what they are told apart by; clones as many at a time as there is memory for.

use super::{
    stage::ScenarioStage,
    traits::{SCRIPT, TraitValues, compare, known},
};
use crate::answer::Judged;
use diorite_model::{
    Error, Result,
    scenario::{Trait, Until},
};

impl ScenarioStage<'_> {
    /// Asks machines who they are, and compares: with each other, or each with what it said before.
    pub fn identity(&mut self, machines: &[usize], differ: &[Trait], same: &[Trait], earlier: bool) -> Result<Judged> {
        let mut all: Vec<(String, TraitValues)> = Vec::new();
        for machine in machines {
            let place = self.place(*machine);
            let now = self.ask_who(place)?;
            let before = self.actors[place].known.replace(now.clone());
            let name = self.actors[place].name.clone();
            if earlier {
                let Some(before) = before else { return Ok(Err(format!("{name} was not asked before"))) };
                let judged = compare(&[(format!("{name} before"), before), (name, now.clone())], differ, same);
                if judged.is_err() {
                    return Ok(judged);
                }
                all.push((String::new(), now));
            } else {
                all.push((name, now));
            }
        }
        Ok(if earlier {
            let words = |list: &[Trait]| list.iter().map(|t| t.word()).collect::<Vec<_>>().join(", ");
            Ok(format!("{} as before: {}; different: {}", all.len(), words(same), words(differ)))
        } else {
            compare(&all, differ, same)
        })
    }

    fn ask_who(&self, place: usize) -> Result<TraitValues> {
        let (machine, mut watch) = self.at_work(place)?;
        Ok(known(&machine.run(SCRIPT, &mut watch)?.text))
    }

    /// Boots every copy of a machine, a few at a time, asks it who it is, and ends it.
    pub fn clones(&mut self, machine: usize, differ: &[Trait], same: &[Trait]) -> Result<Judged> {
        let mut waiting: Vec<usize> = (0..self.actors.len()).filter(|n| self.actors[*n].kind == machine).collect();
        let memory = self.scenario.machines[machine].memory;
        // More than one for each processor only makes every one of them slower.
        let most = std::thread::available_parallelism().map_or(1, usize::from);
        let (mut all, mut batches) = (Vec::new(), 0);
        while !waiting.is_empty() {
            let mut fit = 0;
            while fit < most.min(waiting.len()) && self.budget.fits(&vec![memory; fit + 1]) {
                fit += 1;
            }
            if fit == 0 {
                let name = &self.actors[waiting[0]].name;
                let error = Error::host(format!("there is no memory for machine `{name}`"));
                return Err(error.because(self.budget.words(memory)).hint("give it less `memory` in the scenario"));
            }
            let batch: Vec<usize> = waiting.drain(..fit).collect();
            for place in &batch {
                self.start(*place)?;
            }
            for place in &batch {
                if let Err(wrong) = self.up(*place, Until::Running)? {
                    return Ok(Err(wrong));
                }
                all.push((self.actors[*place].name.clone(), self.ask_who(*place)?));
            }
            batch.into_iter().for_each(|place| self.end(place));
            batches += 1;
        }
        Ok(compare(&all, differ, same).map(|seen| format!("{seen}; booted in {batches} turns")))
    }
}
