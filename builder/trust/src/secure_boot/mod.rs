//! Secure Boot: keys and certificates, signatures of EFI programs, and the signed variables by which firmware learns whom to
//! trust.
//!
//! ```text
//! key            PrivateRsaKey: made, read from PEM, signs
//! certificate    BootCertificate: made for a key, read from PEM and judged
//! authenticode   digest of a program ─► what is to be signed ─► PKCS #7
//! pkcs7          the form of both kinds of signatures
//! variable       certificates ─► EFI signature list ─► .auth file
//! folder         all files of `diorite keys new`, and what a build reads of them
//! ```
//! Signatures are RSASSA-PKCS1-v1_5 with SHA-256, which every firmware knows, and hold no time: the same key and program give
//! the same bytes.

pub mod authenticode;
pub mod certificate;
pub mod folder;
pub mod key;
mod pkcs7;
pub mod variable;

pub use authenticode::SigningRequest;
pub use certificate::BootCertificate;
pub use key::PrivateRsaKey;

#[cfg(test)]
mod tests;
