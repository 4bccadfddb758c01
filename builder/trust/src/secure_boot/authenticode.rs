//! Digest of an EFI program → the bytes that are to be signed → its signature as firmware reads it.
//!
//! Source: Microsoft, "Windows Authenticode Portable Executable Signature Format" (2008): SpcIndirectDataContent with
//! SpcPeImageData, in PKCS #7 with the signed attributes content type and message digest. There is no signing time among them.

use super::certificate::BootCertificate;
use super::pkcs7::{self, failed};
use cms::signed_data::{EncapsulatedContentInfo, SignedAttributes};
use der::asn1::{ObjectIdentifier, OctetString, SetOfVec};
use der::{Any, Decode as _, Encode as _, Tag};
use diorite_model::{Digest, Error, Result};
use x509_cert::attr::Attribute;

const SPC_INDIRECT_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.2.1.4");
const SPC_PE_IMAGE_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.2.1.15");
const CONTENT_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.3");
const MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");

/// `SpcPeImageData` as every signer writes it: no flags, and a link to the file `<<<Obsolete>>>`.
const PE_IMAGE_DATA: &[u8] = b"\x30\x25\x03\x01\x00\xa0\x20\xa2\x1e\x80\x1c\
    \x00<\x00<\x00<\x00O\x00b\x00s\x00o\x00l\x00e\x00t\x00e\x00>\x00>\x00>";

/// What a key is asked to sign for one program.
pub struct SigningRequest {
    content: Any,
    attributes: SignedAttributes,
    message: Vec<u8>,
}

fn sequence(parts: &[&[u8]]) -> Result<Any> {
    Any::new(Tag::Sequence, parts.concat()).map_err(failed)
}

impl SigningRequest {
    /// For a program with this Authenticode digest.
    ///
    /// # Errors
    /// A bug.
    pub fn of(digest: &Digest) -> Result<Self> {
        let kind = SPC_PE_IMAGE_DATA.to_der().map_err(failed)?;
        let data = sequence(&[&kind, PE_IMAGE_DATA])?.to_der().map_err(failed)?;
        let hash = OctetString::new(digest.0).and_then(|hash| hash.to_der()).map_err(failed)?;
        let digest_info = sequence(&[&pkcs7::sha256_identifier()?, &hash])?.to_der().map_err(failed)?;
        let content = sequence(&[&data, &digest_info])?;
        let attribute = |oid, value: Any| {
            Ok::<_, Error>(Attribute { oid, values: SetOfVec::try_from(vec![value]).map_err(failed)? })
        };
        // The digest of the content without tag and length.
        let inner = OctetString::new(Digest::of(content.value()).0).map_err(failed)?;
        let attributes: SignedAttributes = vec![
            attribute(CONTENT_TYPE, Any::encode_from(&SPC_INDIRECT_DATA).map_err(failed)?)?,
            attribute(MESSAGE_DIGEST, Any::encode_from(&inner).map_err(failed)?)?,
        ]
        .try_into()
        .map_err(failed)?;
        let message = attributes.to_der().map_err(failed)?;
        Ok(Self { content, attributes, message })
    }

    /// What is to be signed: RSASSA-PKCS1-v1_5 with SHA-256 over these bytes (the signed attributes as a SET, in DER).
    pub fn message(&self) -> &[u8] {
        &self.message
    }

    /// The whole signature, from what the key of `certificate` made of [`Self::message`]: PKCS #7 in DER.
    ///
    /// # Errors
    /// `signature` is not one of that key, or of another message.
    pub fn answered(&self, certificate: &BootCertificate, signature: &[u8]) -> Result<Vec<u8>> {
        if !certificate.verifies(&self.message, signature) {
            return Err(Error::input("a signature does not match its program and the certificate")
                .because(format!(
                    "{} bytes came, and they are not what the key of {} makes of it",
                    signature.len(),
                    certificate.subject()
                ))
                .hint("sign the given bytes themselves, RSASSA-PKCS1-v1_5 with SHA-256, by the key of db.pem"));
        }
        let content =
            EncapsulatedContentInfo { econtent_type: SPC_INDIRECT_DATA, econtent: Some(self.content.clone()) };
        let data = pkcs7::signed_data(certificate, content, Some(self.attributes.clone()), signature)?;
        pkcs7::wrapped(&data)
    }
}

/// The digest of a program that a signature (PKCS #7 in DER) is about, and the certificates in it. `None`: it is no such
/// signature.
pub fn about(signature: &[u8]) -> Option<Digest> {
    use cms::content_info::ContentInfo;
    use cms::signed_data::SignedData;
    let data: SignedData = ContentInfo::from_der(signature).ok()?.content.decode_as().ok()?;
    let content = data.encap_content_info.econtent?;
    let hash = content.value().get(content.value().len().checked_sub(32)?..)?;
    Some(Digest(hash.try_into().ok()?))
}
