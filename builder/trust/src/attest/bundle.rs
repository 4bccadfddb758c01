//! Statement → DSSE envelope → Sigstore bundle, and back. DSSE protocol v1; sigstore_bundle.proto, version 0.3, with the hint of a
//! public key as verification material and no entry of a transparency log: `cosign verify-blob-attestation --key` reads it.

use super::json;
use crate::keys::{AttestationPublicKey, AttestationSigner};
use diorite_model::{Error, Exit, Result, base64};
use serde::{Deserialize, Serialize};

/// Largest file that is read, in bytes. One of an image with 5,000 packages has about three million.
pub const LARGEST: usize = 32 << 20;
/// Type of the bundle that is written.
const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
/// Types of the bundles that are read: their form is the same where no certificate is in them.
const MEDIA_TYPES: [&str; 4] = [
    MEDIA_TYPE,
    "application/vnd.dev.sigstore.bundle+json;version=0.1",
    "application/vnd.dev.sigstore.bundle+json;version=0.2",
    "application/vnd.dev.sigstore.bundle+json;version=0.3",
];
/// Type of what is signed.
const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bundle {
    media_type: String,
    verification_material: Material,
    dsse_envelope: Envelope,
}

/// Others may have certificates and entries of logs in it; those are no reason to believe anything here.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Material {
    public_key: Hint,
    /// Nothing: but sigstore's models in Python want it to be said.
    #[serde(default)]
    tlog_entries: Vec<serde_json::Value>,
}

#[derive(Serialize, Deserialize)]
struct Hint {
    #[serde(default)]
    hint: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    payload: String,
    payload_type: String,
    signatures: Vec<EnvelopeSignature>,
}

/// Without `keyid`: DSSE's own library in Go passes over a signature whose id is not in its own form.
#[derive(Serialize, Deserialize)]
struct EnvelopeSignature {
    sig: String,
}

/// What is signed: pre-authentication encoding of DSSE.
fn encoded(payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {PAYLOAD_TYPE} {} ", PAYLOAD_TYPE.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

/// The bundle of a statement, as a file.
///
/// # Errors
/// Those of the signer.
pub fn sign(statement: &[u8], signer: &dyn AttestationSigner) -> Result<Vec<u8>> {
    let signature = signer.signature(&encoded(statement))?;
    let bundle = Bundle {
        media_type: MEDIA_TYPE.into(),
        verification_material: Material {
            public_key: Hint { hint: signer.public().id().to_string() },
            tlog_entries: Vec::new(),
        },
        dsse_envelope: Envelope {
            payload: base64::encode(statement),
            payload_type: PAYLOAD_TYPE.into(),
            signatures: vec![EnvelopeSignature { sig: base64::encode(&signature) }],
        },
    };
    let mut bytes = serde_json::to_vec(&bundle).expect("our own types serialize");
    bytes.push(b'\n');
    Ok(bytes)
}

/// A bundle that was read. Nothing in it is believed yet.
#[derive(Debug, Clone)]
pub struct SignedStatement {
    /// The statement's bytes.
    pub payload: Vec<u8>,
    /// Of which key it says to be.
    pub hint: String,
    signatures: Vec<Vec<u8>>,
}

impl SignedStatement {
    /// Reads a file; `place` is where it is, for errors.
    ///
    /// # Errors
    /// [`Exit::VerificationFailed`]: it is none, is damaged, or says something twice.
    pub fn read(file: &[u8], place: &str) -> Result<Self> {
        let fail = |why: String| {
            Error::new(Exit::VerificationFailed, "the attestation cannot be read")
                .at(place)
                .because(why)
                .hint("sign it again with `diorite attest sign`; one that others made has to be a Sigstore bundle of an in-toto statement")
        };
        if file.len() > LARGEST {
            return Err(fail(format!("it has more than {LARGEST} bytes")));
        }
        let value = json::read(file).map_err(fail)?;
        if value.pointer("/verificationMaterial/publicKey").is_none()
            && let Some(how) = ["certificate", "x509CertificateChain"]
                .into_iter()
                .find(|how| value["verificationMaterial"].get(how).is_some())
        {
            return Err(fail(format!(
                "its key is in a `{how}`, and attestations are verified with keys that are named"
            )));
        }
        let bundle: Bundle = serde_json::from_value(value).map_err(|e| fail(e.to_string()))?;
        if !MEDIA_TYPES.contains(&bundle.media_type.as_str()) {
            return Err(fail(format!("its `mediaType` is `{}`", bundle.media_type.escape_debug())));
        }
        let envelope = bundle.dsse_envelope;
        if envelope.payload_type != PAYLOAD_TYPE {
            return Err(fail(format!("its `payloadType` is `{}`", envelope.payload_type.escape_debug())));
        }
        let bytes =
            |what: &str, text: &str| base64::decode(text).ok_or_else(|| fail(format!("its `{what}` is not base64")));
        let payload = bytes("payload", &envelope.payload)?;
        let signatures = envelope.signatures.iter().map(|s| bytes("sig", &s.sig)).collect::<Result<Vec<_>>>()?;
        match signatures.len() {
            1..=16 => Ok(Self { payload, hint: bundle.verification_material.public_key.hint, signatures }),
            0 => Err(fail("there is no signature in it".into())),
            count => Err(fail(format!("there are {count} signatures in it"))),
        }
    }

    /// Whether one of its signatures is by this key.
    pub fn by(&self, key: &AttestationPublicKey) -> bool {
        let bytes = encoded(&self.payload);
        self.signatures.iter().any(|signature| key.verifies(&bytes, signature))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The form of protocol.md: lengths in bytes, as ASCII decimals.
    #[test]
    fn what_is_signed_is_as_specified() {
        let encoded = encoded("hällo".as_bytes());
        assert_eq!(encoded, "DSSEv1 28 application/vnd.in-toto+json 6 hällo".as_bytes());
    }
}
