//! A machine gets another system disk and keeps its other disks, as when a hypervisor's administrator updates it; or an empty
//! state disk, as when the old one broke.

use super::{input::ScenarioDisk, stage::ScenarioStage};
use crate::{answer::Judged, setup, surroundings::Surroundings};
use diorite_machine::disks::{MachineDisk, discard};
use diorite_model::{
    Error, Result,
    recipe::{Recipe, StateDisk},
    scenario::{Act, Scenario},
};

/// Refuses a replacement that would lose the machine's state unasked, before anything boots.
pub fn possible(scenario: &Scenario, disks: &[ScenarioDisk]) -> Result<()> {
    for step in &scenario.steps {
        let Act::Replace { machine, image, .. } = &step.act else { continue };
        for place in [*machine, *image] {
            let (name, recipe) = (&scenario.machines[place].name, &disks[place].recipe);
            if recipe.state.disk != StateDisk::Own {
                let what = format!("the state of machine `{name}` is on its system disk and would be lost with it");
                return Err(Error::input(what)
                    .at(step.place.clone())
                    .hint("give its profile a state disk of its own: `disk = \"own\"` in the table `[state]`"));
            }
        }
        let (has, needs) = (scenario.machines[*machine].cards.len(), cards(&disks[*image].recipe));
        if needs > has {
            let what = format!("machine `{}` has too few cards", scenario.machines[*machine].name);
            let cause = format!("the image that it is to get needs {needs} and `segments` names {has}");
            return Err(Error::input(what).at(step.place.clone()).because(cause).hint("name a segment for each card"));
        }
    }
    Ok(())
}

fn cards(recipe: &Recipe) -> usize {
    Surroundings::of(recipe).macs.len()
}

impl ScenarioStage<'_> {
    /// Exchanges disks of a machine that is off. It stays off.
    pub fn replace(&mut self, machine: usize, image: usize, empty_state: bool) -> Result<Judged> {
        let (place, other) = (self.place(machine), self.place(image));
        let disk = self.actors[other].disk;
        self.actors[place].far.clear();
        for cable in self.actors[place].cables.clone() {
            let (near, far) = setup::cable()?;
            // Before the old machine ends: a lab whose cables all hang loose takes itself to be over.
            self.lab.replug(cable, near)?;
            self.actors[place].far.push(far);
        }
        let actor = &mut self.actors[place];
        if let Some(machine) = actor.machine.take() {
            let (_, ended) = machine.leave();
            ended?;
            actor.share = None;
            actor.lives += 1;
            let log = actor.directory.join(format!("console-{}.log", actor.lives));
            diorite_host::file::rename_scratch(actor.directory.join("console.log"), &log)
                .map_err(|e| Error::io("the console's log cannot be kept", &log, e))?;
            self.logs.push((format!("{}-{}", actor.name, actor.lives), log));
        }
        discard(&actor.directory, MachineDisk::System)?;
        if empty_state {
            discard(&actor.directory, MachineDisk::Second)?;
        }
        let tpm = actor.around.tpm;
        (actor.disk, actor.around) = (disk, Surroundings::of(&disk.recipe));
        actor.around.tpm |= tpm;
        let image = &disk.recipe.image;
        let state = if empty_state { "an empty state disk" } else { "its state disk as it was" };
        Ok(Ok(format!("{} has the image {} {}, and {state}", actor.name, image.name, image.version)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope;
    use diorite_model::{Digest, profile};

    #[test]
    fn state_is_not_lost_unasked() {
        let text = "about = \"x\"\n[segments.lan]\n[machines.old]\nprofile = \"server\"\nsegments = [\"lan\"]\n\
                    [machines.new]\nprofile = \"server\"\nsegments = [\"lan\"]\n[[step]]\non = \"old\"\nreplace = { image = \"new\" }\n";
        let scenario = profile::scenario::parse(text, "x.toml").expect("a scenario");
        let disk = |own: bool| {
            let mut recipe = scope::tests::server();
            recipe.state.disk = if own { StateDisk::Own } else { StateDisk::Same };
            ScenarioDisk { disk: "/disk".into(), sha256: Digest::of(b""), recipe }
        };
        assert!(possible(&scenario, &[disk(true), disk(true)]).is_ok());
        // In the order of their names: `new`, `old`.
        for (disks, name) in [([disk(true), disk(false)], "old"), ([disk(false), disk(true)], "new")] {
            let error = possible(&scenario, &disks).expect_err(name).to_string();
            assert!(error.contains(&format!("the state of machine `{name}` is on its system disk")), "{error}");
            assert!(error.contains("x.toml:11:1") && error.contains("disk = \"own\""), "{error}");
        }
    }
}
