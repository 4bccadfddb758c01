//! `verify --reopen`: a person in front of a machine at the moment of its failure. Lines come from a terminal or a pipe;
//! what the machine answers is data on stdout, everything else is on stderr.

use crate::args::{ProfileArgs, VerifyArgs};
use crate::context::Context;
use crate::lock::CheckedLock;
use crate::project::Project;
use crate::{downloads, out};
use diorite_checks::FailureSnapshot;
use diorite_host::interrupt;
use diorite_host::store::Store;
use diorite_host::tools::ToolsTree;
use diorite_model::{Error, Exit, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{IsTerminal as _, Write as _, stderr, stdin};
use std::path::Path;

/// QEMU is run from there, and the evidence may be anybody's: only what this host's store holds is run.
fn in_the_store<'a>(tools: &'a Path, store: &Store) -> Result<&'a Path> {
    let whole = |path: &Path| std::fs::canonicalize(path).map_err(|e| Error::io("there is no tools tree", path, e));
    match whole(tools)?.starts_with(whole(store.root())?) {
        true => Ok(tools),
        false => Err(Error::host("they are not in this host's store").at(store.root().display().to_string())),
    }
}

/// Restores the machine and runs each line in it, until the input ends.
pub fn reopen(directory: &Path, args: &VerifyArgs, context: &Context) -> Result<Exit> {
    let failure = FailureSnapshot::read(directory)?;
    let tools = match args.name {
        Some(ref name) => {
            let project = Project::load(&ProfileArgs { name: name.clone(), paths: args.paths.clone() })?;
            let lock = CheckedLock::at_hand(&project, args.lock.scratch_lock)?;
            downloads::tools(&project, &lock, context)?
        }
        None => in_the_store(failure.tools(), &context.store()?).and_then(ToolsTree::open).map_err(|e| {
            let error =
                Error::host("the tools that ran this machine are not there").at(failure.tools().display().to_string());
            let hint = format!(
                "name its profile: `diorite verify NAME --reopen {}` takes those of its lock",
                directory.display()
            );
            error.because(e.cause.unwrap_or(e.what)).hint(hint)
        })?,
    };
    context.progress.say(failure.what());
    let mut machine = failure.reopen(&tools)?;
    let addresses = machine.addresses();
    let person = stdin().is_terminal();
    let ends = if person { "; the end of input (Ctrl-D) ends it" } else { "" };
    context
        .progress
        .say(format!("the machine continues from there, {addresses}; each line runs in a shell of its own{ends}"));
    let mut lines = InputLines::default();
    loop {
        if person {
            let _ = write!(stderr(), "diorite# ");
        }
        let Some(line) = lines.next()? else { break };
        if line.trim().is_empty() {
            continue;
        }
        let output = machine.run(&line)?;
        if !output.text.is_empty() {
            out::line(&output.text)?;
        }
        if !output.success() {
            let _ = writeln!(stderr(), "status {}", output.status);
        }
    }
    if person {
        let _ = writeln!(stderr());
    }
    Ok(Exit::Done)
}

/// InputLines of stdin, for which an interrupt does not wait.
#[derive(Default)]
struct InputLines {
    rest: Vec<u8>,
    ended: bool,
}

impl InputLines {
    fn next(&mut self) -> Result<Option<String>> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end_matches(['\n', '\r']).to_owned();
        loop {
            if let Some(end) = self.rest.iter().position(|b| *b == b'\n') {
                return Ok(Some(text(&self.rest.drain(..=end).collect::<Vec<u8>>())));
            }
            if self.ended {
                let last = std::mem::take(&mut self.rest);
                return Ok((!last.is_empty()).then(|| text(&last)));
            }
            interrupt::check()?;
            let input = stdin();
            let wait = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };
            // The only error is EINTR: the interrupt is looked for above.
            if poll(&mut [PollFd::new(&input, PollFlags::IN)], Some(&wait)).is_ok_and(|ready| ready > 0) {
                let mut buffer = [0; 4096];
                // Not through the buffer of the standard library, which poll(2) does not see.
                match rustix::io::read(&input, &mut buffer) {
                    Ok(0) => self.ended = true,
                    Ok(n) => self.rest.extend_from_slice(&buffer[..n]),
                    Err(rustix::io::Errno::INTR) => {}
                    Err(e) => return Err(Error::host("what is typed cannot be read").because(e)),
                }
            }
        }
    }
}
