//! Failing on command.

/// How a call fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiFault {
    /// This status, with the text of the real one; nothing is carried out.
    Status(u16),
    /// No answer, ever; nothing is carried out.
    Silence,
    /// The connection is closed without an answer; nothing is carried out.
    Cut,
    /// The call is carried out, and the connection closed without an answer.
    CutAfter,
    /// The call is carried out after the proxy has given up on it: 596.
    LateAnswer,
    /// The task it starts ends in these text. Without meaning for a call that starts none.
    Task(String),
    /// Somebody holds the lock of the configuration.
    Lock,
    /// The machine is locked by what is in brackets.
    Locked(&'static str),
}

#[derive(Debug)]
pub(crate) struct FaultPlan {
    pub method: String,
    pub template: String,
    pub fault: ApiFault,
    pub times: usize,
}

/// The text of a lock that was waited for in vain.
pub(crate) const LOCK: &str = "can't lock file '/var/lock/qemu-server/lock-100.conf' - got timeout";

/// What the real one says with a status.
pub(crate) fn text(status: u16) -> &'static str {
    match status {
        401 => "Authentication failed!",
        403 => "Permission check failed (/, Sys.Modify)",
        500 => "internal error: something died",
        595 => "No route to host",
        596 => "Connection timed out",
        _ => "error",
    }
}
