//! Attestations: signed statements about a disk image by its digest. A file uses only those below it:
//!
//! ```text
//! policy                    files of attestations → what a policy requires of them, or what is missing
//! verify                    file, keys, digest of a disk → HeldStatement
//! provenance, test_result, summary, rebuild
//!                           what is known of an image → statement
//! statement                 in-toto Statement v1: subject, kind, what it says
//! bundle                    statement → DSSE envelope → Sigstore bundle v0.3 (JSON), and back
//! json                      JSON that says nothing twice
//! ```
//!
//! Nothing here asks a clock: the same image, report and key make the same bytes.

mod bundle;
mod json;
mod policy;
mod provenance;
mod rebuild;
mod statement;
mod summary;
mod test_result;
mod verify;

pub use bundle::{LARGEST, SignedStatement, sign};
pub use policy::{AttestationFile, AttestationPolicy};
pub use provenance::{ProvenanceInputs, provenance};
pub use rebuild::{RebuildInputs, rebuild};
pub use statement::{ImageStatement, StatementKind, StatementOutcome};
pub use summary::{SummaryInputs, summary};
pub use test_result::{TestInputs, test_result};
pub use verify::{HeldStatement, TrustedKey, verify};
