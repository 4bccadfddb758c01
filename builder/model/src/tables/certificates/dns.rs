//! `certificates.NAME.acme.dns`: the record by which an authority is shown that a name is the machine's (RFC 8555 §8.4), and the
//! dynamic update (RFC 2136) that makes it.

use crate::Result;
use crate::profile::{
    field::*,
    section::{At, Section},
    values,
    written::{Written, word},
};
use crate::recipe::{AcmeDns, TsigAlgorithm};
use std::net::IpAddr;

pub(crate) const DNS: &[Field] = &[
    text("server", &values::SERVER, "the name server that takes updates of the zone: TCP port 53").needed(),
    text("zone", &values::CHALLENGE_ZONE, "the zone that the records are in").needed(),
    text("credential", &values::CREDENTIAL, "the systemd credential with the secret of the TSIG key, in Base64")
        .needed(),
    text("key", &values::TSIG_KEY, "the name by which the server knows the key")
        .or_said("the first of `names`, without `*.`"),
    choice("algorithm", ALGORITHM, "the key's algorithm").or_text("hmac-sha256"),
    texts(
        "secondaries",
        &values::SERVER,
        "other name servers of the zone, which must show the record as well before the authority looks",
    ),
];
const ALGORITHM: &[(&str, &str)] = &[
    ("hmac-sha256", "SHA-256, which every server knows (RFC 8945)"),
    ("hmac-sha384", "SHA-384"),
    ("hmac-sha512", "SHA-512"),
];

/// The challenge of the names of a certificate: DNS-01 where the table `acme` says so.
pub(super) fn dns(t: &Section, names: &[At<String>]) -> Result<Option<AcmeDns>> {
    let (challenge, table) = (t.needed("challenge")?, t.table("dns")?);
    match (challenge.value.as_str(), table) {
        ("dns-01", Some(dns)) => dns_of(&dns, names).map(Some),
        ("dns-01", None) => Err(t.missing("dns")),
        (_, None) => Ok(None),
        (other, Some(dns)) => {
            let error = t.files.error(dns.span, format!("`{}` says nothing about the challenge `{other}`", dns.path));
            Err(error.hint("add `challenge = \"dns-01\"`, or remove `dns`"))
        }
    }
}

fn dns_of(t: &Section, names: &[At<String>]) -> Result<AcmeDns> {
    let zone = t.needed("zone")?.value;
    for name in names {
        let at = |what: String| t.files.error(name.span, what);
        if name.value.parse::<IpAddr>().is_ok() {
            let error = at(format!("the DNS cannot show that the address {} is the machine's", name.value));
            return Err(error
                .because("RFC 8738 has no such challenge for addresses")
                .hint("remove it, or use `http-01`"));
        }
        let record = AcmeDns::record(&name.value);
        if record != zone && !record.strip_suffix(&zone).is_some_and(|rest| rest.ends_with('.')) {
            let error = at(format!("the name `{}` is not in the zone `{zone}`", name.value));
            let hint = format!("`{}.zone` must be one that holds `{record}`: each certificate has one zone", t.path);
            return Err(error.hint(hint));
        }
    }
    let first = names.first().map(|name| name.value.trim_start_matches("*.").to_owned());
    Ok(AcmeDns {
        server: t.needed("server")?.value,
        secondaries: t.plain("secondaries")?,
        zone,
        credential: t.needed("credential")?.value,
        key: t.text("key")?.map(|key| key.value).or(first).unwrap_or_default(),
        algorithm: match t.needed("algorithm")?.value.as_str() {
            "hmac-sha384" => TsigAlgorithm::HmacSha384,
            "hmac-sha512" => TsigAlgorithm::HmacSha512,
            _ => TsigAlgorithm::HmacSha256,
        },
    })
}

/// Refuses a wildcard of a certificate whose authority cannot be shown that it is the machine's.
pub(super) fn wildcards(t: &Section, names: &[At<String>], acme: Option<&Section>) -> Result<()> {
    let Some(name) = names.iter().find(|name| name.value.starts_with("*.")) else { return Ok(()) };
    let error = t.files.error(name.span, format!("`{}` needs the challenge `dns-01`", name.value));
    Err(match acme {
        Some(_) => error
            .because("an authority that asks port 80 has no name to ask (RFC 8555 §7.1.3)")
            .hint("write `challenge = \"dns-01\"` and `dns` into `acme`, or name every host"),
        None => error
            .because("only an authority that is shown a record in the DNS signs every name below a domain")
            .hint("add `acme` with `challenge = \"dns-01\"`, or name every host"),
    })
}

/// The table that says this.
pub(super) fn written(dns: &AcmeDns) -> Written {
    Written::default()
        .with("server", &*dns.server)
        .with("zone", &*dns.zone)
        .with("credential", &*dns.credential)
        .with("key", &*dns.key)
        .with("algorithm", word(&dns.algorithm))
        .list("secondaries", &dns.secondaries)
}
