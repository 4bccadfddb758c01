//! A deployment that is under way, as the notes of its machine name it: a second one is told of it instead of
//! interfering.
//!
//! It is written guarded by the configuration's digest, so that of two that begin at the same moment one is refused and
//! sees the other. A run that was killed leaves its entry behind. On the same host its process is asked for; from elsewhere
//! it counts for as long as it said that it may take.

use serde::{Deserialize, Serialize};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Besides the time in which machines become healthy: imports and restarts.
const WORK: Duration = Duration::from_secs(30 * 60);

/// One run of `deploy` or `rollback`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeployRun {
    /// The login: `deploy@pve!ci`.
    pub by: String,
    /// The host it runs on.
    pub host: String,
    /// Its process there.
    pub process: u32,
    /// When it began, in seconds since 1970.
    pub since: u64,
    /// When it counts as ended, in seconds since 1970.
    pub until: u64,
}

impl DeployRun {
    /// This process, from now on. `timeout`: what a machine gets to become healthy.
    pub fn begin(by: &str, timeout: Duration) -> Self {
        let since = now();
        // A new image, and the way back.
        let until = since + (2 * timeout + WORK).as_secs();
        Self { by: by.to_owned(), host: host(), process: std::process::id(), since, until }
    }

    /// Whether it has ended, as far as that can be known from here.
    pub fn is_over(&self) -> bool {
        let gone = self.host == host() && !std::path::Path::new("/proc").join(self.process.to_string()).exists();
        gone || now() > self.until
    }

    /// `deploy@pve!ci on build1 (process 4711), since 2026-11-29 11:02 UTC`.
    pub fn describe(&self) -> String {
        format!("{} on {} (process {}), since {}", self.by, self.host, self.process, utc(self.since))
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// `2026-11-29 11:02 UTC`: days to a date by Howard Hinnant's `civil_from_days`.
pub(crate) fn utc(seconds: u64) -> String {
    let (days, minutes) = (seconds / 86_400, seconds % 86_400 / 60);
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year}-{month:02}-{day:02} {:02}:{:02} UTC", minutes / 60, minutes % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00 UTC"),
            (951_782_400, "2000-02-29 00:00 UTC"),
            (1_796_036_520, "2026-11-30 11:02 UTC"),
            (4_102_444_799, "2099-12-31 23:59 UTC"),
        ] {
            assert_eq!(utc(seconds), text);
        }
    }

    #[test]
    fn a_run_ends_with_its_process_or_its_time() {
        let run = DeployRun::begin("deploy@pve!ci", Duration::from_secs(300));
        assert!(!run.is_over());
        assert!(DeployRun { process: u32::MAX, ..run.clone() }.is_over(), "no such process on this host");
        let elsewhere = DeployRun { host: "elsewhere.example.org".into(), process: u32::MAX, ..run.clone() };
        assert!(!elsewhere.is_over(), "its process cannot be asked for");
        assert!(DeployRun { until: run.since - 1, ..elsewhere }.is_over());
    }
}
