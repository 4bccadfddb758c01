//! The folder of `diorite keys new`: the files in it, and what a build reads of them.
//!
//! ```text
//! PK.key KEK.key db.key     private keys, PKCS #8 in PEM: nobody else may read them; a build needs db.key at most
//! PK.pem KEK.pem db.pem     their certificates
//! PK.esl KEK.esl db.esl     EFI signature lists of the certificates
//! PK.auth KEK.auth db.auth  the same, signed: what firmware takes
//! ```

use super::certificate::{BootCertificate, CertificateRequest};
use super::key::{LEAST_BITS, PrivateRsaKey};
use super::variable::{KeyVariable, authenticated, signature_list};
use diorite_model::{Error, Result, uuid::Uuid};

/// How long certificates are valid: twenty years, in seconds.
const VALID: u64 = 20 * 365 * 86_400;

/// A file of the folder.
pub struct KeyFile {
    /// Its name.
    pub name: String,
    /// What is in it.
    pub content: Vec<u8>,
    /// Nobody else may read it.
    pub secret: bool,
}

/// What decides new keys besides the system's random numbers.
pub struct NewKeys<'a> {
    /// What the certificates are called after: `NAME Platform Key`.
    pub name: &'a str,
    /// Now, seconds since 1970: the certificates are valid from here, for twenty years. Firmware looks at neither.
    pub now: u64,
    /// 64 random bytes: serial numbers, and the identifier under which firmware lists them.
    pub random: [u8; 64],
}

/// Makes all files.
///
/// # Errors
/// A bug.
pub fn new(keys: &NewKeys) -> Result<Vec<KeyFile>> {
    let mut files = Vec::new();
    let random = |n: usize| -> [u8; 16] { std::array::from_fn(|at| keys.random[16 * n + at]) };
    let owner = Uuid(random(3));
    let mut above: Option<(PrivateRsaKey, BootCertificate)> = None;
    for (n, variable) in KeyVariable::ALL.into_iter().enumerate() {
        let (key, pem) = PrivateRsaKey::generate(LEAST_BITS)?;
        let title = ["Platform Key", "Key Exchange Key", "Signature Database Key"][n];
        let name = format!("{} {title}", keys.name);
        let request = CertificateRequest { name: &name, from: keys.now, until: keys.now + VALID, serial: random(n) };
        let certificate = BootCertificate::of(&key, &request)?;
        let list = signature_list(&certificate, &owner);
        let (signer, by) = above.as_ref().map_or((&key, &certificate), |(key, certificate)| (key, certificate));
        let auth = authenticated(variable, &list, keys.now, signer, by)?;
        let mut put = |ending: &str, content: Vec<u8>| {
            files.push(KeyFile { name: format!("{}.{ending}", variable.name()), content, secret: ending == "key" });
        };
        put("key", pem.into_bytes());
        put("pem", certificate.pem()?.into_bytes());
        put("esl", list);
        put("auth", auth);
        above = Some((key, certificate));
    }
    Ok(files)
}

/// A key with the certificate that is to be its own.
///
/// # Errors
/// It is another key's certificate.
pub fn belongs(key: &PrivateRsaKey, certificate: &BootCertificate) -> Result<()> {
    if key.public() == certificate.public() {
        return Ok(());
    }
    Err(Error::input("the key and the certificate do not belong together")
        .because(format!("the certificate {} is of another key", certificate.subject()))
        .hint("put db.key and db.pem of one `diorite keys new` into the directory"))
}

/// The certificate that an .auth file brings, as far as it can be told: the DER behind its signature list's head.
///
/// # Errors
/// It is not such a file.
pub fn enrolled(auth: &[u8]) -> Result<&[u8]> {
    let read = || {
        let length = u32::from_le_bytes(auth.get(16..20)?.try_into().ok()?) as usize;
        let list = auth.get(16usize.checked_add(length)?..)?;
        let entry = u32::from_le_bytes(list.get(24..28)?.try_into().ok()?) as usize;
        list.get(44..28usize.checked_add(entry)?)
    };
    read().ok_or_else(|| {
        Error::input("this is not a signed EFI variable with one certificate")
            .hint("make it with `diorite keys new DIR`")
    })
}
