//! `[certificates]`: each against the container that reads it.

use super::*;

/// A profile with nginx at port 443, and this certificate.
fn parsed(certificate: &str) -> Result<Recipe> {
    let text = format!(
        "[image]\nname = \"x\"\nversion = \"1\"\n[firewall]\nallow = [{{ port = 443 }}]\n\
         [containers.web]\npackages = [\"nginx-light\"]\ncommand = [\"nginx\"]\npublish = [{{ host = 443 }}]\n\
         writable = [\"/tmp\"]\nvolumes.data = {{ path = \"/data\" }}\n{certificate}"
    );
    parse(&text, "profiles/x.toml", &mut shipped).map(|(recipe, _)| recipe)
}

#[test]
fn what_is_not_said_follows_from_the_name() {
    let text = "[certificates.site]\nnames = [\"a.example\"]\ncontainer = \"web\"\n";
    let recipe = parsed(text).unwrap_or_else(|e| panic!("{e}"));
    let certificate = &recipe.certificates["site"];
    assert_eq!((certificate.days, certificate.path.as_str()), (90, "/run/certificates/site"));
    assert_eq!((certificate.reload.signal(), certificate.port, &certificate.credential), (None, None, &None));
    assert!(recipe.certificate_at(443).is_none() && recipe.certificates_of("web").count() == 1);
    assert!(recipe.packages.include.iter().any(|package| package == "openssl"));
    let shown = parsed(&format!("{text}port = 443\nreload = \"USR1\"\n")).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(shown.certificate_at(443).and_then(|c| c.reload.signal()), Some("USR1"));
}

#[test]
fn an_authority_gets_in_at_port_80() {
    let text = "[certificates.site]\nnames = [\"a.example\"]\ncontainer = \"web\"\n\
        acme = { directory = \"https://a.example/d\" }\n";
    let recipe = parsed(text).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(recipe.firewall.allow.last().map(|rule| rule.id()), Some("acme".to_owned()));
    assert!(recipe.packages.include.iter().any(|package| package == "uacme"));
    assert_eq!(recipe.outgoing().len(), 1);
    assert!(!parsed(&text.replace("acme", "#")).unwrap_or_else(|e| panic!("{e}")).asks_authorities());
}

/// A certificate by DNS-01, with these names and this more in `dns`.
fn by_dns(names: &str, more: &str) -> String {
    format!(
        "[certificates.site]\nnames = [{names}]\ncontainer = \"web\"\n\
         acme = {{ directory = \"https://a.example/d\", challenge = \"dns-01\", dns = {{ {more} }} }}\n"
    )
}

/// A machine with one name server, which is not that of the zone.
const CLOSED: &str = "[network.lan]\naddresses = [\"192.0.2.10/24\"]\nrouter_advertisements = false\ndns = [\"192.0.2.1\"]\n\
    [firewall.egress]\npolicy = \"drop\"\nallow = [{ port = 443 }]\n";
const ZONE: &str = "server = \"192.0.2.53\", zone = \"school.example\", credential = \"acme.dns\"";

#[test]
fn an_authority_that_asks_the_dns_gets_in_nowhere() {
    let text =
        by_dns("\"*.school.example\", \"school.example\"", &format!("{ZONE}, secondaries = [\"ns.school.example\"]"));
    let recipe = parsed(&text).unwrap_or_else(|e| panic!("{e}"));
    assert!(recipe.asks_authorities() && !recipe.answers_authorities());
    assert_eq!(recipe.firewall.allow.len(), 1);
    assert!(recipe.listeners().iter().all(|listener| listener.port != 80));
    for package in ["uacme", "knot-dnsutils"] {
        assert!(recipe.packages.include.iter().any(|p| p == package), "{package}");
    }
    let dns = recipe.certificates["site"].acme.as_ref().and_then(|acme| acme.dns.as_ref()).expect("it is there");
    assert_eq!((dns.key.as_str(), dns.algorithm.name()), ("school.example", "hmac-sha256"));
    let asked: Vec<_> = recipe.outgoing().into_iter().map(|out| (out.host.to_owned(), out.port)).collect();
    let tcp = |host: &str, port| (host.to_owned(), Some((Protocol::Tcp, port)));
    assert_eq!(asked, [tcp("a.example", 443), tcp("192.0.2.53", 53), tcp("ns.school.example", 53)]);
    let own = by_dns("\"school.example\"", &ZONE.replace("192.0.2.53", "192.0.2.1"));
    assert!(parsed(&format!("{own}{CLOSED}")).is_ok(), "the machine's own name server is asked anyhow");
    assert_eq!(recipe.challenge_credentials().collect::<Vec<_>>(), [(&"acme.dns".to_owned(), &"site".to_owned())]);
}

/// A zone made for the records of one name holds them, and no others.
#[test]
fn a_zone_may_be_that_of_one_record() {
    let zone = ZONE.replace("school.example", "_acme-challenge.school.example");
    assert!(parsed(&by_dns("\"*.school.example\", \"school.example\"", &zone)).is_ok());
    assert!(parsed(&by_dns("\"www.school.example\"", &zone)).is_err());
}

#[test]
fn what_no_challenge_can_show_is_refused() {
    let refused = |text: &str| match parsed(text) {
        Ok(recipe) => format!("accepted: {:?}", recipe.certificates),
        Err(error) => error.to_string(),
    };
    let with = |more: &str| format!("[certificates.site]\nnames = [\"*.school.example\"]\ncontainer = \"web\"\n{more}");
    let all = [
        refused(&with("")),
        refused(&with("credential = \"site.certificate\"\n")),
        refused(&with("acme = { directory = \"https://a.example/d\" }\n")),
        refused(&with("acme = { directory = \"https://a.example/d\", challenge = \"dns-01\" }\n")),
        refused(&with(&format!("acme = {{ directory = \"https://a.example/d\", dns = {{ {ZONE} }} }}\n"))),
        refused(&by_dns("\"school.example\"", "server = \"192.0.2.53\", zone = \"school.example\"")),
        refused(&by_dns("\"www.school.example\", \"www.other.example\"", ZONE)),
        refused(&by_dns("\"preschool.example\"", ZONE)),
        refused(&by_dns("\"www.school.example\"", &ZONE.replace("school.example", "www.school.example.org"))),
        refused(&by_dns("\"school.example\", \"192.0.2.10\"", ZONE)),
        refused(&by_dns("\"www.*.school.example\"", ZONE)),
        refused(&by_dns("\"school.example\"", &format!("{ZONE}, algorithm = \"hmac-md5\""))),
        refused(&by_dns("\"school.example\"", &format!("{ZONE}, key = \"a key\""))),
        refused(&format!("{}{CLOSED}", by_dns("\"school.example\"", ZONE))),
    ];
    insta::assert_snapshot!("challenges", all.join("\n\n"));
}

#[test]
fn what_cannot_be_meant_shows_the_line() {
    let refused = |text: &str| match parsed(text) {
        Ok(recipe) => format!("accepted: {:?}", recipe.certificates),
        Err(error) => error.to_string(),
    };
    let whole = |more: &str| format!("[certificates.site]\nnames = [\"a.example\"]\ncontainer = \"web\"\n{more}");
    let all = [
        refused("[certificates.site]\nnames = []\ncontainer = \"web\"\n"),
        refused("[certificates.site]\nnames = [\"a.example\"]\ncontainer = \"wbe\"\n"),
        refused("[certificates.site]\nnames = [\"https://a.example\"]\ncontainer = \"web\"\n"),
        refused(&whole("port = 444\n")),
        refused(&whole("path = \"/tmp\"\n")),
        refused(&whole("days = 1\n")),
        refused(&whole("credential = \"a\"\nacme = { directory = \"https://a.example/d\" }\n")),
        refused(&whole("acme = { directory = \"http://a.example/d\" }\n")),
        refused(&whole("acme = { directory = \"https://a.example/d\", challenge = \"tls-alpn-01\" }\n")),
        refused(&whole("acme = { email = \"a@example.org\" }\n")),
        refused(&whole("acme = { directory = \"https://a.example:14000/d\" }\n[firewall.egress]\npolicy = \"drop\"\n")),
        refused(&whole(
            "acme = { directory = \"https://a.example/d\" }\n[containers.plain]\npackages = [\"busybox\"]\n\
             command = [\"true\"]\npublish = [{ host = 80, local = true }]\n",
        )),
        refused(&whole("reload = \"KILL\"\n")),
        refused(&whole(&format!("port = 443\n{}", whole("port = 443\n").replace(".site", ".other")))),
        refused(&whole(&format!("path = \"/c\"\n{}", whole("path = \"/c\"\n").replace(".site", ".other")))),
    ];
    insta::assert_snapshot!("certificates", all.join("\n\n"));
}
