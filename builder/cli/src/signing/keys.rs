//! A directory that `diorite keys new` has made, as a build reads it. Private keys must be nobody else's to read.

use diorite_host::secret::SecretRequest;
use diorite_model::instance::SecretSource;
use diorite_model::{Error, Result};
use diorite_trust::secure_boot::{BootCertificate, PrivateRsaKey, folder};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Larger files are no keys.
const LONGEST: usize = 64 << 10;

/// The directory.
pub struct KeysDirectory<'a>(pub &'a Path);

impl KeysDirectory<'_> {
    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn text(&self, name: &str) -> Result<String> {
        String::from_utf8(self.bytes(name)?).map_err(|e| {
            Error::input("this is not a text").at(self.file(name).display().to_string()).because(e).hint(MAKE)
        })
    }

    fn bytes(&self, name: &str) -> Result<Vec<u8>> {
        let file = self.file(name);
        fs::read(&file).map_err(|e| Error::io("the keys for Secure Boot are not complete", &file, e).hint(MAKE))
    }

    /// The certificate that firmware is to know.
    pub fn certificate(&self) -> Result<BootCertificate> {
        let name = "db.pem";
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.as_secs());
        BootCertificate::of_pem(&self.text(name)?, now).map_err(|e| e.at(self.file(name).display().to_string()))
    }

    /// Its key.
    pub fn key(&self, certificate: &BootCertificate) -> Result<PrivateRsaKey> {
        let file = self.file("db.key");
        let place = file.display().to_string();
        if !file.exists() {
            return Err(Error::input("the directory has a certificate, and not its key").at(place).hint(
                "copy db.key there; where another machine keeps it, sign by a program, --signer, or elsewhere, --unsigned-digests",
            ));
        }
        let request =
            SecretRequest { noun: "key", of: "db.pem", place: "--keys", longest: LONGEST, taken: "one key in PEM" };
        let bytes = request.read(&SecretSource::File(file), &|_| None)?;
        let key = PrivateRsaKey::of_pem(&String::from_utf8_lossy(&bytes)).map_err(|e| e.at(place.clone()))?;
        folder::belongs(&key, certificate).map_err(|e| e.at(place))?;
        Ok(key)
    }

    /// The variables that firmware takes, by file name.
    pub fn enrolment(&self, certificate: &BootCertificate) -> Result<Vec<(String, Vec<u8>)>> {
        let mut files = Vec::new();
        for name in ["KEK.auth", "PK.auth", "db.auth"] {
            let file = self.bytes(name)?;
            let place = || self.file(name).display().to_string();
            let enrolled = folder::enrolled(&file).map_err(|e| e.at(place()))?;
            if name == "db.auth" && enrolled != certificate.der() {
                return Err(Error::input("firmware would take another certificate than the one that signs")
                    .at(place())
                    .because(format!("it does not bring db.pem, {}", certificate.subject()))
                    .hint(MAKE));
            }
            files.push((name.to_owned(), file));
        }
        Ok(files)
    }
}

const MAKE: &str = "take a whole directory that `diorite keys new DIR` has made";
