//! What each question needs of the machine it is asked of.

use super::Question;

/// What a question is asked of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// A machine that runs; it may have been put back to a moment when it did.
    Running,
    /// A machine that has been seen from power-on.
    Boot,
    /// Boots of its own, or none.
    Itself,
}

impl Question {
    /// What it is asked of. Whoever adds a question decides it here.
    pub fn of(&self) -> Of {
        match self {
            // What came before the moment is part of the answer.
            Self::Lease | Self::Address6 | Self::Watched | Self::Unasked(_) | Self::Running => Of::Boot,
            Self::Untouched | Self::Tamper | Self::DiskUnchanged => Of::Itself,
            Self::Fixed(..) | Self::Tagged(_) | Self::Link(..) | Self::Says(..) | Self::Ping(_) | Self::Ssh(_) => {
                Of::Running
            }
            Self::Http(_) | Self::Metrics | Self::Port(..) | Self::Limited(..) | Self::Ports(_) => Of::Running,
            Self::Churn(_) | Self::NoFailedUnit | Self::Root | Self::WriteRefused(_) | Self::RemountRefused => {
                Of::Running
            }
            Self::Container(_) | Self::ContainerAsDeclared(_) | Self::Administrator(_) | Self::Counters(_) => {
                Of::Running
            }
            Self::RulesStay | Self::Kept(..) | Self::ImageMetrics(_) | Self::Closed(_) | Self::Blessed => Of::Running,
            Self::State(_) | Self::Encrypted | Self::Unreadable | Self::StateDisk | Self::Volatile(_) => Of::Running,
            Self::Module(_) | Self::Service(..) | Self::PowerOff | Self::Own(_) => Of::Running,
            Self::Settles(..) | Self::Clones(_) | Self::Agent | Self::Journal | Self::Kernel => Of::Running,
        }
    }
}
