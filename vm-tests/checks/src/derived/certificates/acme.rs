//! Certificates that an authority signs: the machine asks in time, and answers the authority's challenge from the network, or
//! can have it answered by the DNS. Neither an authority nor a zone is part of the lab: what is signed is what
//! vm-tests/scenarios/acme.toml and acme-dns.toml show.

use crate::{
    answer::{Judged, none_of, short},
    check::Check,
    quote,
    scope::Scope,
    sweep::Family,
};
use diorite_lab::HttpReply;
use diorite_machine::Output;
use diorite_model::recipe::Acme;

/// A challenge of the verification's own (RFC 8555 §8.3).
const TOKEN: &str = "verify";
const ANSWER: &str = "verify.answer";

/// The service of each, and the answers of all.
pub fn checks(scope: &Scope<'_>) -> Vec<Check> {
    let signed = scope.recipe.certificates.iter().filter_map(|(name, c)| Some((name, c.acme.as_ref()?)));
    let mut all: Vec<Check> = signed.map(|(name, acme)| asks(name, acme)).collect();
    if scope.recipe.answers_authorities() {
        all.extend(scope.families.iter().filter_map(|family| answers(scope, *family)));
    }
    all
}

fn asks(name: &str, acme: &Acme) -> Check {
    let (unit, acme) = (Acme::unit(name), acme.clone());
    let updates = if acme.dns.is_some() { "knsupdate --version; " } else { "" };
    let script = format!(
        "systemctl show -p Result -p ExecStart -p ExecStopPost -p Environment {unit}; {updates}echo \"timer:$(systemctl is-active {timer})\"; \
         uacme --version 2>&1 | sed 's/^/program:/'",
        timer = quote::word(&unit.replace(".service", ".timer")),
        unit = quote::word(&unit),
    );
    let what = format!("an authority is asked to sign certificate {name}");
    Check::settling_script(format!("certificate-{name}-acme"), what, script, move |said| asked(said, &acme))
}

fn asked(output: &Output, acme: &Acme) -> Judged {
    let has = |line: &str| output.text.lines().any(|l| l == line);
    let says = |key: &str, word: &str| {
        let values = output.text.lines().filter_map(|l| l.strip_prefix(key)?.strip_prefix('='));
        values.into_iter().any(|value| value.split(' ').any(|w| w == word))
    };
    let wrong = [
        (!has("timer:active")).then_some("its timer is not active"),
        (!has("Result=success")).then_some("its service failed"),
        (!says("ExecStart", &acme.directory)).then_some("another authority is asked"),
        (!output.text.contains("program:uacme")).then_some("there is no uacme"),
    ];
    let dns = acme.dns.as_ref().map(|dns| {
        let servers = dns.servers().map(String::as_str).collect::<Vec<_>>().join(" ");
        // One with a space in it is shown in quotes.
        let environment = output.text.replace('"', "");
        let told = |variable: &str, next: &str| environment.contains(&format!("{variable} {next}="));
        [
            (!told(&format!("ACME_DNS_SERVERS={servers}"), "ACME_DNS_ZONE")).then_some("updates go to another server"),
            (!told(&format!("ACME_DNS_ZONE={}", dns.zone), "ACME_DNS_KEY")).then_some("another zone is changed"),
            (!says("ExecStopPost", "clean")).then_some("what is left of a challenge stays"),
            (!output.text.contains("knsupdate, Knot DNS")).then_some("there is no knsupdate"),
        ]
    });
    let wrong = wrong.into_iter().chain(dns.into_iter().flatten()).flatten();
    let wrong: Vec<String> = wrong.map(|what| format!("{what}: {}", short(&output.text))).collect();
    none_of(&wrong, format!("at {}, {}", acme.directory, acme.challenge()))
}

/// The machine's own answer, asked for by the lab.
fn answers(scope: &Scope<'_>, family: Family) -> Option<Check> {
    if !scope.admits_conversation(family, Acme::PORT) {
        return None;
    }
    let (directory, path) = (Acme::CHALLENGES, format!("/.well-known/acme-challenge/{TOKEN}"));
    let put = format!(
        "mkdir -p -m 0755 {directory}; printf %s {ANSWER} >{directory}/{TOKEN}; chmod 0444 {directory}/{TOKEN}"
    );
    let what = format!("port {} answers an authority's challenge ({})", Acme::PORT, family.name());
    let check = Check::inside(format!("acme-answers-{}", family.name()), what, move |machine| {
        let address = machine.address(family)?;
        machine.run(&put)?;
        let judged = machine.retried(|m| Ok(answered(&m.lab().http_get(address, Acme::PORT, &path)?)))?;
        machine.run(&format!("rm -f {directory}/{TOKEN}"))?;
        Ok(judged)
    });
    Some(check.over(family))
}

fn answered(reply: &Result<HttpReply, String>) -> Judged {
    let reply = reply.as_ref().map_err(Clone::clone)?;
    let body = String::from_utf8_lossy(&reply.body);
    match (reply.status, &*body) {
        (200, ANSWER) => Ok("the answer, and nothing else".to_owned()),
        (status, body) => Err(format!("status {status}: {}", short(body))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::tests::recipe_of;

    #[test]
    fn an_answer_that_is_another_is_seen() {
        let reply = |status, body: &str| Ok(HttpReply { status, head: String::new(), body: body.as_bytes().to_vec() });
        assert!(answered(&reply(200, ANSWER)).is_ok());
        for wrong in [reply(404, ""), reply(200, "verify.answer\n"), reply(301, ANSWER), Err("reset".into())] {
            assert!(answered(&wrong).is_err(), "{wrong:?}");
        }
    }

    /// The challenge of a certificate of a recipe with this more in `acme`.
    fn acme(more: &str) -> Acme {
        let text = format!(
            "[containers.web]\npackages = [\"nginx-light\"]\ncommand = [\"nginx\"]\n\
             [certificates.web]\nnames = [\"a.example\"]\ncontainer = \"web\"\n\
             acme = {{ directory = \"https://a.example/d\"{more} }}\n"
        );
        recipe_of(&text).certificates["web"].acme.clone().expect("it is there")
    }

    #[test]
    fn an_authority_that_is_not_asked_is_seen() {
        const GOOD: &str = "ExecStart={ argv[]=/usr/lib/diorite/acme /var/lib/x https://a.example/d  a.example ; }\n\
            Result=success\ntimer:active\nprogram:uacme: version 1.7.6\n";
        let acme = acme("");
        let judge = |text: &str| asked(&Output { status: 0, text: text.to_owned() }, &acme);
        assert_eq!(judge(GOOD), Ok("at https://a.example/d, http-01".to_owned()));
        for (from, to) in [
            ("=success", "=exit-code"),
            ("timer:active", "timer:inactive"),
            ("a.example/d", "b.example/d"),
            ("uacme:", "sh:"),
        ] {
            assert!(judge(&GOOD.replace(from, to)).is_err(), "{to}");
        }
    }

    #[test]
    fn a_zone_that_is_not_changed_is_seen() {
        const GOOD: &str = "Environment=\"ACME_DNS_SERVERS=192.0.2.53 192.0.2.54\" ACME_DNS_ZONE=a.example ACME_DNS_KEY=x\n\
            ExecStart={ argv[]=/usr/lib/diorite/acme /var/lib/x https://a.example/d  a.example ; }\n\
            ExecStopPost={ argv[]=/usr/lib/diorite/acme-dns clean ; }\nResult=success\nknsupdate, Knot DNS 3.4.6\n\
            timer:active\nprogram:uacme: version 1.7.6\n";
        let acme = acme(
            ", challenge = \"dns-01\", dns = { server = \"192.0.2.53\", secondaries = [\"192.0.2.54\"], \
             zone = \"a.example\", credential = \"tsig\" }",
        );
        let judge = |text: &str| asked(&Output { status: 0, text: text.to_owned() }, &acme);
        assert_eq!(judge(GOOD), Ok("at https://a.example/d, dns-01".to_owned()));
        for (from, to, why) in [
            ("=192.0.2.53 ", "=192.0.2.99 ", "another server"),
            ("192.0.2.54", "192.0.2.99", "another server"),
            ("ZONE=a.example", "ZONE=b.example", "another zone"),
            ("acme-dns clean", "acme-dns", "stays"),
            ("knsupdate, Knot DNS", "sh: 1: knsupdate: not found", "no knsupdate"),
        ] {
            let why_not = judge(&GOOD.replace(from, to)).unwrap_err();
            assert!(why_not.contains(why), "{why_not}");
        }
    }

    #[test]
    fn only_certificates_with_an_authority_are_asked_about() {
        let text = "[containers.web]\npackages = [\"nginx-light\"]\ncommand = [\"nginx\"]\n\
            [certificates.web]\nnames = [\"a.example\"]\ncontainer = \"web\"\n";
        let ids = |text: &str| checks(&Scope::of(&recipe_of(text))).into_iter().map(|c| c.id).collect::<Vec<_>>();
        assert!(ids(text).is_empty());
        let signed = ids(&format!("{text}acme = {{ directory = \"https://a.example/d\" }}\n"));
        let dns = "{ server = \"192.0.2.53\", zone = \"a.example\", credential = \"tsig\" }";
        let shown =
            format!("{text}acme = {{ directory = \"https://a.example/d\", challenge = \"dns-01\", dns = {dns} }}\n");
        assert_eq!(ids(&shown), ["certificate-web-acme"]);
        assert!(signed.contains(&"certificate-web-acme".to_owned()) && signed.len() >= 2, "{signed:?}");
    }
}
