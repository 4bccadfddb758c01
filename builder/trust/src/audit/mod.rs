//! Known vulnerabilities: which of them an image has, and which of those could be gone. A file uses only those below it:
//!
//! ```text
//! openvex, cyclonedx    Audit → VEX documents of both formats
//! text                  Audit → lines for people; JSON is the type itself
//! judge                 AuditedImage × AdvisoryData × [audit] × a day → Audit
//! data                  bytes of one form or the other → AdvisoryData
//!   tracker             the Debian security tracker's whole-archive JSON
//!   osv                 records of OSV
//! files                 what is handed in, and the errors of what cannot be used
//! advisory              one vulnerability of one source package: which versions have it
//! image                 lock → packages by the source package that they were built from
//! ```
//! What is not known is never taken for good: without data the answer is "unknown", and packages that the data says nothing of
//! by its nature (local ones, those of other repositories, wheels, images of others) are named.

mod advisory;
mod cyclonedx;
mod data;
mod files;
mod image;
mod judge;
mod openvex;
mod osv;
mod text;
mod tracker;

pub use cyclonedx::cyclonedx;
pub use data::{AdvisoryData, DatedBy};
pub use files::{AdvisoryFile, AdvisoryScope, LARGEST};
pub use image::{AuditedImage, AuditedPackage, NotJudged};
pub use judge::{Audit, AuditFinding, AuditStatus, AuditVerdict, judge};
pub use openvex::openvex;
pub use text::text;
