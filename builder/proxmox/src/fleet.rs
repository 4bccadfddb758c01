//! Several VMs from one image: a rolling update that ends with the first VM that does not become healthy.

use crate::deploy::{Deployer, Deployment};
use crate::desired::Desired;
use diorite_model::{Error, Result};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Deploys the VMs in their order, at most `at_once` of them at a time. `each` is called for every one that works. After the
/// first that does not no further one is begun; those that were begun are completed.
///
/// # Errors
/// That of the first machine in order; the others that failed, and those that were not touched, stand below it.
pub fn roll(
    deployer: &Deployer,
    desired: &[Desired],
    at_once: usize,
    each: &(dyn Fn(&Desired, Deployment) -> Result<()> + Sync),
) -> Result<()> {
    if at_once > 1 {
        // Two must not write the same file of a storage at once: it would be overwritten while it is read.
        desired.iter().try_for_each(|desired| deployer.bring(desired))?;
    }
    let (begun, failed) = (Mutex::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..at_once.min(desired.len()) {
            scope.spawn(|| {
                while let Some(number) = next(&begun, &failed, desired.len()) {
                    let machine = &desired[number];
                    if let Err(error) = deployer.deploy(machine).and_then(|done| each(machine, done)) {
                        lock(&failed).push((number, error));
                    }
                }
            });
        }
    });
    let begun = *lock(&begun);
    let mut failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    failed.sort_by_key(|(number, _)| *number);
    let mut failed = failed.into_iter().map(|(_, error)| error);
    let Some(first) = failed.next() else { return Ok(()) };
    let mut below: Vec<String> = first.detail.iter().cloned().collect();
    below.extend(failed.map(|error| error.to_string()));
    if begun < desired.len() {
        let names: Vec<_> = desired[begun..].iter().map(|desired| desired.name.as_str()).collect();
        below.push(format!("not deployed: {}", names.join(", ")));
    }
    let detail = Some(below.join("\n")).filter(|text| !text.is_empty());
    Err(Error { detail, ..first })
}

/// The number of the next machine to begin with; none when all are begun, or one has failed.
fn next(begun: &Mutex<usize>, failed: &Mutex<Vec<(usize, Error)>>, all: usize) -> Option<usize> {
    let mut begun = lock(begun);
    if *begun == all || !lock(failed).is_empty() {
        return None;
    }
    *begun += 1;
    Some(*begun - 1)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
