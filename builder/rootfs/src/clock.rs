//! The host's clock, where it can reach a tree: in the times of the files that Debian's scripts write.
//!
//! Scripts see the host's clock (docs/decisions/clock.md), and it may be wrong: a machine without a battery starts in 1970.
//! So what a script wrote is told from what a package brought by more than "later than the start of the build".

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::{SystemTime, UNIX_EPOCH};

/// How the times of files are made the same in every build, whatever the clock says.
#[derive(Debug, Clone)]
pub struct Times {
    /// No time is later than this, in seconds since 1970.
    epoch: i64,
    /// What the clock showed while the build wrote files.
    written: RangeInclusive<i64>,
    /// The times that files had before anything was run, in whole seconds.
    brought: BTreeSet<i64>,
}

impl Times {
    /// For files that no build of ours has written: none is later than the epoch.
    pub const fn at_most(epoch: i64) -> Self {
        #[expect(clippy::reversed_empty_ranges, reason = "no moment at all")]
        Self { epoch, written: 1..=0, brought: BTreeSet::new() }
    }

    /// The latest time that a file may have.
    pub fn epoch(&self) -> i64 {
        self.epoch
    }

    /// The time a file gets whose own, as stat(2) says it, is this.
    ///
    /// What was written by the build gets the epoch. A package's file keeps its time, also where a clock that is wrong
    /// shows that very second: packages count in whole seconds, a file system in fractions of them.
    pub fn of(&self, seconds: i64, nanoseconds: u64) -> i64 {
        let kept = nanoseconds == 0 && self.brought.contains(&seconds);
        if self.written.contains(&seconds) && !kept { self.epoch } else { seconds.min(self.epoch) }
    }
}

/// When a build began to write, by the host's clock.
#[derive(Debug, Clone, Copy)]
pub struct BuildStart(i64);

impl BuildStart {
    /// Now.
    pub fn now() -> Self {
        // Linux sets no clock to before 1970 (settimeofday(2)).
        Self(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64))
    }

    /// What was written from then until now gets the epoch. A clock that was set meanwhile, forward or back, counts with
    /// all that lies between.
    pub fn times(self, epoch: i64, brought: impl IntoIterator<Item = i64>) -> Times {
        let Self(now) = Self::now();
        Times { epoch, written: self.0.min(now)..=self.0.max(now), brought: brought.into_iter().collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EPOCH: i64 = 1_760_000_000;
    /// Files of packages: old, in the year of the epoch, later than it.
    const PACKAGES: [i64; 4] = [0, 1_500_000_000, 1_759_000_000, 1_800_000_000];

    /// What becomes of the packages' files and of one that a script writes two seconds after the start of a build.
    fn under(clock: i64) -> Vec<i64> {
        let times = Times { epoch: EPOCH, written: clock..=clock + 600, brought: PACKAGES.into() };
        PACKAGES.iter().map(|&t| times.of(t, 0)).chain([times.of(clock + 2, 120_000_000)]).collect()
    }

    #[test]
    fn every_clock_gives_the_same_times() {
        let right = under(EPOCH + 86_400 * 400);
        assert_eq!(right, [0, 1_500_000_000, 1_759_000_000, EPOCH, EPOCH]);
        // 1970; a minute before a package's file was made, and the very second; just before the epoch; far ahead.
        for clock in [0, 1_500_000_000 - 60, 1_500_000_000, 1_759_000_000 - 1, EPOCH - 1, EPOCH, 4_000_000_000] {
            assert_eq!(under(clock), right, "with the clock at {clock}");
        }
    }

    #[test]
    fn a_clock_that_is_set_meanwhile_counts_with_all_between() {
        for (from, to) in [(0, EPOCH + 99), (EPOCH + 99, 0)] {
            let times = Times { epoch: EPOCH, written: from.min(to)..=from.max(to), brought: PACKAGES.into() };
            assert_eq!(
                [times.of(5, 1), times.of(EPOCH + 98, 1), times.of(1_500_000_000, 0)],
                [EPOCH, EPOCH, 1_500_000_000]
            );
        }
        let begun = BuildStart::now().times(EPOCH, []);
        assert_eq!(begun.of(BuildStart::now().0, 1), EPOCH);
        assert_eq!(begun.of(1_500_000_000, 0), 1_500_000_000, "nothing before the start is the build's");
    }

    #[test]
    fn what_no_build_wrote_is_only_clamped() {
        let times = Times::at_most(10);
        assert_eq!([times.of(-5, 0), times.of(9, 1), times.of(11, 0)], [-5, 9, 10]);
    }
}
