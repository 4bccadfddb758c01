//! `[certificates.NAME]`.

use super::dns;
use crate::Result;
use crate::profile::{
    field::*,
    section::{At, Section},
    values,
    written::{Written, word},
};
use crate::recipe::*;
use std::collections::BTreeMap;

pub(crate) const CERTIFICATE: &[Field] = &[
    texts("names", &values::CERTIFICATE_NAME, "names and addresses of the server it is for, one at least").needed(),
    text(
        "credential",
        &values::CREDENTIAL,
        "the systemd credential with a certificate (with what leads to its authority) and its key, in PEM; while the machine \
         has none, the certificate is self-signed",
    )
    .or_said("it is self-signed"),
    table("acme", ACME, "an authority that signs the certificate over the network (RFC 8555); until it has, it is self-signed"),
    integer("days", 2, 825, "days that a self-signed one lasts; it is renewed when a third of them is left").or_number(90),
    text("container", &values::NAME, "the container that reads it").needed(),
    text("path", &values::CONTAINER_PATH, "the container's directory with `certificate.pem` and `key.pem`")
        .or_said("`/run/certificates/NAME`"),
    choice("reload", RELOAD, "what the container is told when there is a new one").or_text("restart"),
    port("port", "port of the machine at which it is shown; `verify` looks at it there").or_said("it is not looked at"),
];
const ACME: &[Field] = &[
    text(
        "directory",
        &values::URL,
        "the authority's directory: `https://acme-v02.api.letsencrypt.org/directory`; its terms of service are agreed to",
    )
    .needed(),
    text("email", &values::MAIL, "whom the authority may write to"),
    choice("challenge", CHALLENGE, "how the authority is shown that the names are the machine's").or_text("http-01"),
    table("dns", dns::DNS, "with `dns-01`: the zone that the names are in, and who changes it for the machine"),
];
const CHALLENGE: &[(&str, &str)] = &[
    ("http-01", "it asks port 80 of each name, which the machine answers and the firewall admits"),
    ("dns-01", "it asks the DNS for a record below each name, which the machine makes by dynamic update (RFC 2136)"),
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
    let names = t.texts("names")?;
    if names.is_empty() {
        return Err(t.missing("names"));
    }
    let (credential, acme) = (t.text("credential")?, t.table("acme")?);
    if let (Some(credential), Some(_)) = (&credential, &acme) {
        let error =
            t.files.error(credential.span, format!("`{}` comes from two places: `credential` and `acme`", t.path));
        return Err(error.hint("keep one of them"));
    }
    let signed = acme.as_ref().map(|a| acme_of(a, &names)).transpose()?;
    if signed.as_ref().is_none_or(|signed| signed.dns.is_none()) {
        dns::wildcards(t, &names, acme.as_ref())?;
    }
    Ok(ServerCertificate {
        names: names.into_iter().map(|name| name.value).collect(),
        credential: credential.map(|c| c.value),
        acme: signed,
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

fn acme_of(t: &Section, names: &[At<String>]) -> Result<Acme> {
    let directory = t.needed("directory")?;
    if directory.value.starts_with("http://") {
        let error = t.files.error(directory.span, format!("`{}` would ask the authority in clear", t.path));
        return Err(error.because("RFC 8555 has no form without TLS").hint("write `https://`"));
    }
    Ok(Acme { directory: directory.value, email: t.text("email")?.map(|e| e.value), dns: dns::dns(t, names)? })
}

/// An authority asks port 80, unless it asks the DNS.
pub(crate) fn complete(recipe: &mut Recipe) {
    if recipe.answers_authorities() {
        recipe.firewall.allow.push(admission());
    }
}

fn admission() -> Allow {
    Allow { name: Some("acme".into()), listener: Some("acme".into()), ..Allow::port(Acme::PORT, Protocol::Tcp) }
}

/// Takes the rule of [`complete`] out again.
pub(crate) fn unadmit(recipe: &mut Recipe) {
    if recipe.answers_authorities() && recipe.firewall.allow.last() == Some(&admission()) {
        recipe.firewall.allow.pop();
    }
}

/// The table that says this.
pub(crate) fn written(certificate: &ServerCertificate) -> Written {
    Written::default()
        .list("names", &certificate.names)
        .maybe("credential", certificate.credential.as_deref())
        .maybe("acme", certificate.acme.as_ref().map(acme_written))
        .with("days", certificate.days)
        .with("container", &*certificate.container)
        .with("path", &*certificate.path)
        .with("reload", word(&certificate.reload))
        .maybe("port", certificate.port.map(u32::from))
}

fn acme_written(acme: &Acme) -> Written {
    Written::default()
        .with("directory", &*acme.directory)
        .maybe("email", acme.email.as_deref())
        .with("challenge", acme.challenge())
        .maybe("dns", acme.dns.as_ref().map(dns::written))
}
