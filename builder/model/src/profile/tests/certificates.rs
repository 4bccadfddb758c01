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
        refused(&whole("acme = { directory = \"https://a.example/d\", challenge = \"dns-01\" }\n")),
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
