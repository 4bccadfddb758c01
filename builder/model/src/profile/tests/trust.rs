//! `[trust]`: one authority's certificate, whatever else a file in PEM may hold.

use super::*;
use crate::certificate::pem;

/// The smallest profile with these tables.
fn parsed(tables: &str) -> Result<Recipe> {
    let text = format!("[image]\nname = \"x\"\nversion = \"1\"\n{tables}");
    parse(&text, "profiles/x.toml", &mut shipped).map(|(recipe, _)| recipe)
}

fn refused(tables: &str) -> String {
    parsed(tables).map(|recipe| format!("accepted: {:?}", recipe.trust)).unwrap_or_else(|e| e.to_string())
}

/// Made by openssl-req(1), Ed25519, for a hundred years.
pub(super) const AUTHORITY: &str = "\
-----BEGIN CERTIFICATE-----
MIIBlTCCAUegAwIBAgIUCTjgWrqqZkj6e/u+zUhgG5N7uDQwBQYDK2VwMDcxFzAV
BgNVBAoMDkV4YW1wbGUgU2Nob29sMRwwGgYDVQQDDBNFeGFtcGxlIFNjaG9vbCBS
b290MCAXDTI2MTEyOTE5MDAxNFoYDzIxMjYxMTA1MTkwMDE0WjA3MRcwFQYDVQQK
DA5FeGFtcGxlIFNjaG9vbDEcMBoGA1UEAwwTRXhhbXBsZSBTY2hvb2wgUm9vdDAq
MAUGAytlcAMhAD9aeVxPIv+xBfC0cP16JsinO2s+h/20L94We4MA3tHCo2MwYTAd
BgNVHQ4EFgQU/IFOfmy/RIhQx9P8PoE2J0RB8o4wHwYDVR0jBBgwFoAU/IFOfmy/
RIhQx9P8PoE2J0RB8o4wDwYDVR0TAQH/BAUwAwEB/zAOBgNVHQ8BAf8EBAMCAQYw
BQYDK2VwA0EAcOmEBmZuyKr9KtqyZiY2L5ZiD4wpranEX9sBnIMNqPIPKY9vzvoR
Vva1PsXMiGr0lFMFe7tiB+Bi4pce1tC+CA==
-----END CERTIFICATE-----
";

/// The same for a server: CA:FALSE.
const SERVER: &str = "\
-----BEGIN CERTIFICATE-----
MIIBMTCB5KADAgECAhRnCGGhEc1MlfT+CxCaIVXBEdPcDTAFBgMrZXAwDzENMAsG
A1UEAwwEbGVhZjAgFw0yNjExMjkxOTAwMTRaGA8yMTI2MTEwNTE5MDAxNFowDzEN
MAsGA1UEAwwEbGVhZjAqMAUGAytlcAMhAB6Ezt1A68hB+2qDr+PCZZge8kQl6pHF
cC0KtikKNrkQo1AwTjAdBgNVHQ4EFgQUyoQPpymWCBPQvnz5TuklEzaAxwgwHwYD
VR0jBBgwFoAUyoQPpymWCBPQvnz5TuklEzaAxwgwDAYDVR0TAQH/BAIwADAFBgMr
ZXADQQBRYMw8AwlVpbjsgX+kCs54xjCqf3fxNIPtPc2TqOHOAVvOy0ickOVD2Np+
zt2UgVGgnwHY9V49aIxfnKNkglkO
-----END CERTIFICATE-----
";

fn table(text: &str) -> String {
    format!("[trust]\nschool = \"\"\"\n{text}\"\"\"\n")
}

#[test]
fn a_certificate_is_kept_as_it_was() {
    let recipe = parsed(&table(AUTHORITY)).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(pem(&recipe.trust["school"]).unwrap_or_else(|e| panic!("{e}")), AUTHORITY);
    // Line breaks are the file's, not the certificate's.
    let other = AUTHORITY.replace("\nMIIB", "\nMI\n\nIB");
    assert_eq!(parsed(&table(&other)).unwrap_or_else(|e| panic!("{e}")).trust, recipe.trust);
}

#[test]
fn what_is_no_authority_shows_the_line() {
    let cut = AUTHORITY.replace("Vva1PsXMiGr0lFMFe7tiB+Bi4pce1tC+CA==", "");
    let all = [
        refused(&table(SERVER)),
        refused(&table(&format!("{AUTHORITY}{AUTHORITY}"))),
        refused(&table(&cut)),
        refused(&table("-----BEGIN CERTIFICATE-----\nnot base64\n-----END CERTIFICATE-----\n")),
        refused(&table("/etc/ssl/school.pem")),
        refused(&table("-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA==\n-----END PRIVATE KEY-----\n")),
        refused("[trust]\nschool = true"),
        refused(&format!("{}other = \"\"\"\n{AUTHORITY}\"\"\"\n", table(AUTHORITY))),
    ];
    insta::assert_snapshot!("trust", all.join("\n\n"));
}
