//! How long a program had to wait for a processor (the kernel's Documentation/scheduler/sched-stats.rst).

use std::fs;

/// Of this process and all it has started: the share of the time in which its threads could have run and others did, 0 to 1.
/// `None` where the kernel does not say.
pub(super) fn share(process: i32) -> Option<f64> {
    let [ran, waited] = times(process)?;
    Some(waited as f64 / (ran + waited).max(1) as f64)
}

/// Nanoseconds on a processor, and nanoseconds ready for one.
fn times(process: i32) -> Option<[u64; 2]> {
    let mut all = [0; 2];
    let mut add = |[ran, waited]: [u64; 2]| all = [all[0] + ran, all[1] + waited];
    for task in fs::read_dir(format!("/proc/{process}/task")).ok()?.flatten() {
        // A thread may have ended just now.
        let text = |name| fs::read_to_string(task.path().join(name)).unwrap_or_default();
        let own: Vec<u64> = text("schedstat").split_whitespace().filter_map(|n| n.parse().ok()).collect();
        if let [ran, waited, ..] = own[..] {
            add([ran, waited]);
        }
        text("children").split_whitespace().filter_map(|pid| times(pid.parse().ok()?)).for_each(&mut add);
    }
    (all[0] > 0).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_computes_is_seen_with_what_it_has_started() {
        let count = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; kill -STOP $$";
        // The first computes nothing; what it started does.
        let mut above =
            std::process::Command::new("sh").args(["-c", &format!("sh -c '{count}'; :")]).spawn().expect("sh");
        let pid = i32::try_from(above.id()).expect("a number");
        let begun = std::time::Instant::now();
        while times(pid).is_none_or(|[ran, _]| ran < 20_000_000) {
            assert!(begun.elapsed().as_secs() < 60, "{:?}", times(pid));
            std::thread::yield_now();
        }
        assert!(share(pid).is_some_and(|part| (0.0..=1.0).contains(&part)), "{:?}", times(pid));
        let below = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).expect("children");
        for pid in below.split_whitespace().map(|pid| pid.parse().expect("a number")) {
            rustix::process::kill_process(
                rustix::process::Pid::from_raw(pid).expect("a process"),
                rustix::process::Signal::KILL,
            )
            .expect("ours");
        }
        above.wait().expect("its end");
        assert_eq!(share(pid), None, "nobody is there any more");
    }
}
