//! PKCS #7 `SignedData` (RFC 2315, which is CMS version 1) with one signer, in the two forms that UEFI knows: with signed
//! attributes around an own kind of content (Authenticode), and without them and without content (variables).

use super::certificate::{BootCertificate, RSA, algorithm};
use cms::cert::{CertificateChoices, IssuerAndSerialNumber};
use cms::content_info::{CmsVersion, ContentInfo};
use cms::signed_data::{EncapsulatedContentInfo, SignedAttributes, SignedData, SignerIdentifier, SignerInfo};
use der::asn1::{ObjectIdentifier, OctetString};
use der::{Any, Encode as _};
use diorite_model::{Error, Result};

const SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");

pub(super) fn failed(e: impl std::fmt::Display) -> Error {
    Error::bug("a signature could not be written").because(e)
}

/// `SignedData` of this content, by this certificate's key, which has made `signature`.
pub(super) fn signed_data(
    certificate: &BootCertificate,
    content: EncapsulatedContentInfo,
    attributes: Option<SignedAttributes>,
    signature: &[u8],
) -> Result<SignedData> {
    let about = &certificate.parsed.tbs_certificate;
    let signer = SignerInfo {
        version: CmsVersion::V1,
        sid: SignerIdentifier::IssuerAndSerialNumber(IssuerAndSerialNumber {
            issuer: about.issuer.clone(),
            serial_number: about.serial_number.clone(),
        }),
        digest_alg: algorithm(SHA256),
        signed_attrs: attributes,
        signature_algorithm: algorithm(RSA),
        signature: OctetString::new(signature).map_err(failed)?,
        unsigned_attrs: None,
    };
    Ok(SignedData {
        version: CmsVersion::V1,
        digest_algorithms: vec![algorithm(SHA256)].try_into().map_err(failed)?,
        encap_content_info: content,
        certificates: Some(
            vec![CertificateChoices::Certificate(certificate.parsed.clone())].try_into().map_err(failed)?,
        ),
        crls: None,
        signer_infos: vec![signer].try_into().map_err(failed)?,
    })
}

/// The same as `ContentInfo`, in DER.
pub(super) fn wrapped(data: &SignedData) -> Result<Vec<u8>> {
    let content = Any::encode_from(data).map_err(failed)?;
    ContentInfo { content_type: SIGNED_DATA, content }.to_der().map_err(failed)
}

/// `AlgorithmIdentifier` of SHA-256 in DER, with NULL as Authenticode has it.
pub(super) fn sha256_identifier() -> Result<Vec<u8>> {
    algorithm(SHA256).to_der().map_err(failed)
}
