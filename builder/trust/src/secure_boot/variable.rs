//! Certificates → EFI signature lists, and the signed form in which firmware takes them into its variables.
//!
//! Source: UEFI specification §8.2.2 (EFI_VARIABLE_AUTHENTICATION_2), §32.4.1 (EFI_SIGNATURE_LIST), §32.3 (PK, KEK, db).

use super::certificate::BootCertificate;
use super::key::PrivateRsaKey;
use super::pkcs7::{self, failed};
use cms::signed_data::EncapsulatedContentInfo;
use der::Encode as _;
use der::asn1::ObjectIdentifier;
use diorite_model::{Result, date, uuid::Uuid};

const DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.1");
/// EFI_CERT_X509_GUID.
const X509: &str = "a5c059a1-94e4-4aa7-87b5-ab155c2bf072";
/// EFI_CERT_TYPE_PKCS7_GUID.
const PKCS7: &str = "4aafd29d-68df-49ee-8aa9-347d375665a7";
/// EFI_GLOBAL_VARIABLE and EFI_IMAGE_SECURITY_DATABASE_GUID.
const GLOBAL: &str = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
const DATABASE: &str = "d719b2cb-3d3a-4596-a3bc-dad00e67656f";
/// Non-volatile, for boot services and at run time, time-based authenticated.
const ATTRIBUTES: u32 = 0x27;

/// A variable of Secure Boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyVariable {
    /// The platform's owner: may change KEK.
    Pk,
    /// Who may change db.
    Kek,
    /// Whose programs are started.
    Db,
}

impl KeyVariable {
    /// All of them, in the order in which they lead to one another.
    pub const ALL: [Self; 3] = [Self::Pk, Self::Kek, Self::Db];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pk => "PK",
            Self::Kek => "KEK",
            Self::Db => "db",
        }
    }

    fn vendor(self) -> &'static str {
        if self == Self::Db { DATABASE } else { GLOBAL }
    }
}

/// A GUID as EFI writes it: the first three fields little-endian.
fn guid(text: &str) -> [u8; 16] {
    let hex = |at: usize| u8::from_str_radix(text.get(at..at + 2).unwrap_or_default(), 16).unwrap_or_default();
    [6, 4, 2, 0, 11, 9, 16, 14, 19, 21, 24, 26, 28, 30, 32, 34].map(hex)
}

/// An EFI_SIGNATURE_LIST with one certificate, entered by `owner`.
pub fn signature_list(certificate: &BootCertificate, owner: &Uuid) -> Vec<u8> {
    let entry = 16 + certificate.der().len() as u32;
    let mut list = guid(X509).to_vec();
    // Size of the list, of its header (none), of an entry.
    for number in [28 + entry, 0, entry] {
        list.extend(number.to_le_bytes());
    }
    list.extend(guid(&owner.to_string()));
    list.extend(certificate.der());
    list
}

/// EFI_TIME of a moment in UTC, whole seconds.
fn efi_time(seconds: u64) -> [u8; 16] {
    let text = date::rfc3339(seconds);
    let number = |at: std::ops::Range<usize>| text.get(at).and_then(|n| n.parse::<u16>().ok()).unwrap_or_default();
    let mut time = [0; 16];
    time[..2].copy_from_slice(&number(0..4).to_le_bytes());
    for (to, at) in [(2, 5), (3, 8), (4, 11), (5, 14), (6, 17)] {
        time[to] = number(at..at + 2) as u8;
    }
    time
}

/// The .auth file that sets `variable` to this content, signed by the key above it (PK: by itself, KEK: by PK, db: by KEK).
/// `time`: seconds since 1970; firmware refuses a time that is not later than that of the last change.
///
/// # Errors
/// A bug.
pub fn authenticated(
    variable: KeyVariable,
    content: &[u8],
    time: u64,
    key: &PrivateRsaKey,
    certificate: &BootCertificate,
) -> Result<Vec<u8>> {
    let time = efi_time(time);
    let mut message: Vec<u8> = variable.name().encode_utf16().flat_map(u16::to_le_bytes).collect();
    message.extend(guid(variable.vendor()));
    message.extend(ATTRIBUTES.to_le_bytes());
    message.extend(time);
    message.extend(content);
    let nothing = EncapsulatedContentInfo { econtent_type: DATA, econtent: None };
    let data = pkcs7::signed_data(certificate, nothing, None, &key.sign(&message)?)?.to_der().map_err(failed)?;
    let mut file = time.to_vec();
    // WIN_CERTIFICATE_UEFI_GUID: length, revision 2.0, WIN_CERT_TYPE_EFI_GUID.
    file.extend((24 + data.len() as u32).to_le_bytes());
    file.extend([0x00, 0x02, 0xf1, 0x0e]);
    file.extend(guid(PKCS7));
    file.extend(data);
    file.extend(content);
    Ok(file)
}
