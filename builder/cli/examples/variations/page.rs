//! The results in Markdown.

use crate::place::{Control, NoDigest, Outcome, World};
use crate::{LARGE, SMALL};
use std::fmt::{self, Display, Formatter, Write as _};
use std::process::Command;
use std::time::Duration;

/// One build beside the first one of its profile.
pub struct Line {
    profile: &'static str,
    name: String,
    how: &'static str,
    expected: String,
    outcome: Outcome,
    time: Duration,
}

impl Line {
    /// What came of it.
    pub fn new(
        profile: &'static str,
        name: &str,
        how: &'static str,
        expected: &str,
        outcome: Outcome,
        time: Duration,
    ) -> Self {
        Self { profile, name: name.into(), how, expected: expected.into(), outcome, time }
    }

    fn verdict(&self) -> String {
        match &self.outcome {
            Ok(digest) if *digest == self.expected => "equal".into(),
            Ok(digest) => format!("**DIFFERENT**: {digest}"),
            Err(NoDigest::Skipped(why)) => format!("not run: {why}"),
            Err(NoDigest::Failed(why)) => format!("**failed**: {}", why.lines().next().unwrap_or_default()),
        }
    }

    fn failed(&self) -> bool {
        !matches!(&self.outcome, Ok(digest) if *digest == self.expected) && !self.skipped()
    }

    fn skipped(&self) -> bool {
        matches!(self.outcome, Err(NoDigest::Skipped(_)))
    }
}

impl Display for Line {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {} ({:.0} s)", self.profile, self.name, self.verdict(), self.time.as_secs_f64())?;
        match &self.outcome {
            Err(NoDigest::Failed(why)) => write!(f, "\n{why}"),
            _ => Ok(()),
        }
    }
}

/// Writes the page anew; how many builds differ or failed.
pub fn write(world: &World, lines: &[Line], control: Option<&Control>) -> usize {
    let equal = lines.iter().filter(|line| !line.failed() && !line.skipped()).count();
    let (failed, skipped) = (lines.iter().filter(|l| l.failed()).count(), lines.iter().filter(|l| l.skipped()).count());
    let mut text = format!(
        "# The same bytes under changed conditions, {}\n\n{equal} builds gave the disk of the first one, {failed} did not, {skipped} \
         could not be run here. `make variations` makes this page; each digest is `openssl`'s. Seconds are beside other work.\n\n",
        today()
    );
    text += "| profile | disk.raw of the first build |\n|---|---|\n";
    for profile in [SMALL].iter().chain(LARGE) {
        let _ = writeln!(text, "| {profile} | `{}` |", world.expected(profile));
    }
    text += "\n| profile | changed | how | disk | s |\n|---|---|---|---|---|\n";
    for line in lines {
        let (verdict, seconds) = (line.verdict(), line.time.as_secs_f64());
        let _ = writeln!(text, "| {} | {} | {} | {verdict} | {seconds:.0} |", line.profile, line.name, line.how);
    }
    let mut bad = failed;
    if let Some(Control { differ, named }) = control {
        let judged = match named {
            Ok(true) => "names that file".to_owned(),
            Ok(false) => "does **not** name that file".to_owned(),
            Err(why) => format!("could not be asked: {why}"),
        };
        let word = if *differ { "another digest" } else { "**the same digest**" };
        bad += usize::from(!differ || matches!(named, Ok(false)));
        let _ = writeln!(
            text,
            "\nPositive control: with one other page in the overlay `web`, `server` has {word}, and diffoscope {judged}."
        );
    }
    let file = format!("docs/measurements/{}-variations.md", today());
    diorite_host::file::write_whole(std::path::Path::new(&file), text.as_bytes(), 0o644).expect("the page");
    bad
}

fn today() -> String {
    let date = Command::new("date").arg("+%F").output().expect("date");
    String::from_utf8_lossy(&date.stdout).trim().to_owned()
}
