//! The user's terminal while it speaks with a machine, termios(3): Ctrl-C is a letter that ends the run, so that the
//! machine can be switched off in order.

use diorite_model::{Error, Result};
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};
use std::io::IsTerminal as _;

/// Ctrl-C on a terminal that does not make a signal of it.
pub(super) const CTRL_C: u8 = 3;

/// The terminal's settings, put back when this is dropped.
pub(super) struct Raw(Termios);

impl Raw {
    /// Sets stdin up; `None` when it is no terminal. With `lines` whole lines are typed, edited and shown by the terminal;
    /// else every letter goes to the guest, which shows it.
    pub fn new(lines: bool) -> Result<Option<Self>> {
        let stdin = std::io::stdin();
        if !stdin.is_terminal() {
            return Ok(None);
        }
        let failed = |e: rustix::io::Errno| Error::host("the terminal cannot be set up").because(e);
        let before = tcgetattr(&stdin).map_err(failed)?;
        let mut now = before.clone();
        now.local_modes.remove(LocalModes::ISIG);
        if lines {
            // A second end of line: the letter is there at once.
            now.special_codes[SpecialCodeIndex::VEOL] = CTRL_C;
        } else {
            now.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
            now.special_codes[SpecialCodeIndex::VMIN] = 1;
            now.special_codes[SpecialCodeIndex::VTIME] = 0;
        }
        tcsetattr(&stdin, OptionalActions::Now, &now).map_err(failed)?;
        Ok(Some(Self(before)))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // Too late to report an error.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Drain, &self.0);
    }
}
