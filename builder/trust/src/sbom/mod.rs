//! Bills of materials (SBOM): what an image is made of. A file uses only those below it:
//!
//! ```text
//! spdx, cyclonedx           ImageInventory → JSON of each format
//! collect                   ImageContents → ImageInventory
//!   debian, alpine, depends packages by their databases; who needs whom
//!   owned                   files of packages in images that others made
//!   modules                 what programs and Python distributions declare about what is inside them
//!   copyright, licences     debian/copyright → a licence expression of SPDX, or nothing
//! inventory                 components, files and relations between them: what both formats say
//! contents                  what is known of an image when it is built
//! purl, control             package URLs; Debian's control data
//! ```

mod alpine;
mod collect;
pub mod contents;
mod control;
mod copyright;
mod cyclonedx;
mod debian;
mod depends;
pub mod inventory;
mod licences;
mod modules;
mod owned;
mod purl;
mod spdx;

pub use collect::inventory;
pub use cyclonedx::cyclonedx;
pub(crate) use purl::{debian_url, generic_url, python as python_url};
pub use spdx::spdx;

// What audit reads of packages, too.
pub(crate) use control::paragraphs;
pub(crate) use debian::{built_using, source};
pub(crate) use purl::purl;
