//! `[certificates.NAME]`.

use crate::Result;
use crate::profile::{
    field::*,
    section::Section,
    values,
    written::{Written, word},
};
use crate::recipe::*;
use std::collections::BTreeMap;

pub(crate) const CERTIFICATE: &[Field] = &[
    texts("names", &values::SERVER, "names and addresses of the server it is for, one at least").needed(),
    text(
        "credential",
        &values::CREDENTIAL,
        "the systemd credential with a certificate (with what leads to its authority) and its key, in PEM; while the machine \
         has none, the certificate is self-signed",
    )
    .or_said("it is self-signed"),
    integer("days", 2, 825, "days that a self-signed one lasts; it is renewed when a third of them is left").or_number(90),
    text("container", &values::NAME, "the container that reads it").needed(),
    text("path", &values::CONTAINER_PATH, "the container's directory with `certificate.pem` and `key.pem`")
        .or_said("`/run/certificates/NAME`"),
    choice("reload", RELOAD, "what the container is told when there is a new one").or_text("restart"),
    port("port", "port of the machine at which it is shown; `verify` looks at it there").or_said("it is not looked at"),
];
const RELOAD: &[(&str, &str)] = &[
    ("restart", "it is started again"),
    ("HUP", "the signal SIGHUP: nginx, Apache, HAProxy and others read their files again"),
    ("USR1", "the signal SIGUSR1"),
    ("USR2", "the signal SIGUSR2"),
];

pub(crate) fn certificates(top: &Section) -> Result<BTreeMap<String, ServerCertificate>> {
    top.each("certificates", certificate)
}

fn certificate(name: &str, t: &Section) -> Result<ServerCertificate> {
    let names = t.plain("names")?;
    if names.is_empty() {
        return Err(t.missing("names"));
    }
    Ok(ServerCertificate {
        names,
        credential: t.text("credential")?.map(|c| c.value),
        days: t.needed_number("days")?.value,
        container: t.needed("container")?.value,
        path: t.text("path")?.map_or_else(|| format!("/run/certificates/{name}"), |p| p.value),
        reload: match t.needed("reload")?.value.as_str() {
            "HUP" => CertificateReload::Hup,
            "USR1" => CertificateReload::Usr1,
            "USR2" => CertificateReload::Usr2,
            _ => CertificateReload::Restart,
        },
        port: t.number("port")?.map(|p| p.value),
    })
}

/// The table that says this.
pub(crate) fn written(certificate: &ServerCertificate) -> Written {
    Written::default()
        .list("names", &certificate.names)
        .maybe("credential", certificate.credential.as_deref())
        .with("days", certificate.days)
        .with("container", &*certificate.container)
        .with("path", &*certificate.path)
        .with("reload", word(&certificate.reload))
        .maybe("port", certificate.port.map(u32::from))
}
