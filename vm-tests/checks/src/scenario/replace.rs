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
            diorite_host::file::rename_scratch(&actor.directory.join("console.log"), &log)
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
