//! Certificates of servers: valid, for their names, kept for their container, renewed in time, and the ones that are shown.

use crate::{
    answer::{Judged, none_of, short, verdict},
    check::Check,
    quote,
    scope::Scope,
};
use diorite_lab::certificate_names;
use diorite_machine::Output;
use diorite_model::{
    Digest,
    recipe::{CERTIFICATES, ServerCertificate},
};

mod acme;

/// Each certificate, in the machine and at its port.
pub fn checks(scope: &Scope<'_>) -> Vec<Check> {
    let mut all = Vec::new();
    for (name, certificate) in &scope.recipe.certificates {
        let what = format!("certificate {name} is valid, for its names, and its container's");
        let names = certificate.names.clone();
        let script = kept_script(name, certificate);
        all.push(Check::script(format!("certificate-{name}"), what, script, move |said| kept(said, &names)));
        let what = format!("certificate {name} is renewed before its end, and not sooner");
        all.push(Check::script(format!("certificate-{name}-renewed"), what, renewed_script(name), renewed));
        all.extend(served(scope, name, certificate));
    }
    all.extend(acme::checks(scope));
    all
}

/// What is shown at its port is what is on state. A certificate of which another copy is shown is renewed for nobody.
fn served(scope: &Scope<'_>, name: &str, certificate: &ServerCertificate) -> Option<Check> {
    let port = certificate.port?;
    let family = *scope.families.iter().find(|family| scope.admits_conversation(**family, port))?;
    let names = certificate.names.clone();
    let digest = format!("openssl x509 -in {} -outform DER | sha256sum", quote::word(&file(name, "certificate.pem")));
    let what = format!("port {port} shows certificate {name} ({})", family.name());
    let check = Check::inside(format!("certificate-{name}-shown"), what, move |machine| {
        let address = machine.address(family)?;
        machine.retried(|m| {
            let shown = m.lab().https_get(address, port, None, "/")?;
            let own = m.run(&digest)?;
            Ok(shown.and_then(|(_, certificate)| is_shown(&certificate, &own, &names)))
        })
    });
    Some(check.over(family))
}

fn is_shown(certificate: &[u8], own: &Output, names: &[String]) -> Judged {
    let digest = Digest::of(certificate).to_string();
    if own.text.split_whitespace().next() != Some(digest.as_str()) {
        return Err(format!("it shows another certificate than the machine keeps: {}", &digest[..12]));
    }
    let wrong = names
        .iter()
        .filter_map(|name| Some(format!("not for {name}: {}", certificate_names(certificate, &host(name)).err()?)));
    none_of(&wrong.collect::<Vec<_>>(), format!("for {}", names.join(", ")))
}

/// A host that a name of a certificate is for.
fn host(name: &str) -> String {
    name.strip_prefix("*.").map_or_else(|| name.to_owned(), |domain| format!("any.{domain}"))
}

fn file(name: &str, file: &str) -> String {
    format!("{CERTIFICATES}/{name}/{file}")
}

/// What [`kept`] reads.
fn kept_script(name: &str, certificate: &ServerCertificate) -> String {
    let (container, path) = (quote::word(&certificate.container), quote::word(&certificate.path));
    let (pem, key) = (quote::word(&file(name, "certificate.pem")), quote::word(&file(name, "key.pem")));
    let timer = quote::word(&ServerCertificate::unit(name).replace(".service", ".timer"));
    let names = quote::words(&certificate.names);
    format!(
        "p=$(podman inspect --format '{{{{.State.Pid}}}}' -- {container}); \
         echo \"user:$(awk '/^Uid:/ {{print $2}}' /proc/$p/status)\"; \
         echo \"key:$(stat -c '%u 0%a' /proc/$p/root{path}/key.pem)\"; \
         cmp -s {pem} /proc/$p/root{path}/certificate.pem && echo seen:yes; \
         openssl x509 -in {pem} -noout -checkend 0 >/dev/null && echo lasts:yes; \
         [ \"$(openssl x509 -in {pem} -noout -pubkey)\" = \"$(openssl pkey -in {key} -pubout)\" ] && echo pair:yes; \
         for n in {names}; do case $n in *[!0-9.]*) f=-checkhost;; *) f=-checkip;; esac; \
         case $n in *:*) f=-checkip;; esac; openssl x509 -in {pem} -noout $f \"$n\"; done | sed 's/^/name:/'; \
         echo \"timer:$(systemctl is-active -- {timer})\"; \
         echo \"ends:$(openssl x509 -in {pem} -noout -enddate | cut -d= -f2)\""
    )
}

fn kept(output: &Output, names: &[String]) -> Judged {
    let of = |key: &str| {
        output.text.lines().filter_map(|l| l.strip_prefix(key)?.strip_prefix(':')).map(str::trim).collect::<Vec<_>>()
    };
    let one = |key: &str| of(key).first().copied().unwrap_or_default().to_owned();
    let mut wrong = Vec::new();
    let mut must = |good: bool, what: String| wrong.extend((!good).then_some(what));
    must(one("lasts") == "yes", format!("it has ended or is not there: {}", short(&output.text)));
    must(one("pair") == "yes", "certificate and key do not belong together".to_owned());
    must(one("seen") == "yes", "the container sees another one".to_owned());
    let user = one("user");
    must(
        !user.is_empty() && one("key") == format!("{user} 0400"),
        format!("its key is {}, the user {user}", one("key")),
    );
    // x509(1): `Hostname a.example does match certificate`, or `does NOT match`.
    let matched = of("name").iter().filter(|line| line.contains(" does match ")).count();
    must(matched == names.len(), format!("it is not for all of its names: {}", of("name").join("; ")));
    must(one("timer") == "active", format!("its timer is {}", one("timer")));
    none_of(&wrong, format!("for {}, until {}", names.join(", "), one("ends")))
}

/// The machine's own program, thrice, in another directory: it makes one, keeps it, and makes another when two thirds are
/// over (of 400 days, 90 are less than a third).
fn renewed_script(name: &str) -> String {
    let name = quote::word(name);
    format!(
        "d=/run/diorite-verify-certificate; rm -rf $d; mkdir -m 700 $d; \
         for days in 90 90 400; do /usr/lib/diorite/certificate $d 0:0 '' $days '' {name} DNS:verify.example >/dev/null || break; \
         openssl x509 -in $d/certificate.pem -noout -serial; done; rm -rf $d"
    )
}

fn renewed(output: &Output) -> Judged {
    let serials: Vec<&str> = output.text.lines().filter(|line| line.starts_with("serial=")).collect();
    let good = matches!(serials[..], [one, two, three] if one == two && two != three);
    verdict(good, if good { "made, kept, made again".to_owned() } else { short(&output.text) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::tests::recipe_of;

    fn said(text: &str) -> Output {
        Output { status: 0, text: text.to_owned() }
    }

    #[test]
    fn what_is_wrong_with_a_certificate_is_seen() {
        const GOOD: &str = "user:524321\nkey:524321 0400\nseen:yes\nlasts:yes\npair:yes\n\
            name:Hostname a.example does match certificate\nname:IP 10.0.0.1 does match certificate\n\
            timer:active\nends:Feb 27 22:36:06 2027 GMT\n";
        let names = ["a.example".to_owned(), "10.0.0.1".to_owned()];
        assert_eq!(kept(&said(GOOD), &names).as_deref(), Ok("for a.example, 10.0.0.1, until Feb 27 22:36:06 2027 GMT"));
        for (from, to, why) in [
            ("key:524321 0400", "key:524321 0444", "its key"),
            ("key:524321", "key:0", "its key"),
            ("seen:yes\n", "", "sees another"),
            ("lasts:yes\n", "", "ended"),
            ("pair:yes\n", "", "belong together"),
            ("IP 10.0.0.1 does match", "IP 10.0.0.1 does NOT match", "all of its names"),
            ("timer:active", "timer:inactive", "timer is inactive"),
        ] {
            let why_not = kept(&said(&GOOD.replace(from, to)), &names).unwrap_err();
            assert!(why_not.contains(why), "{why_not}");
        }
        assert!(kept(&said(""), &names).is_err());
    }

    #[test]
    fn a_renewal_makes_another_one_and_only_in_time() {
        let serials = |list: [&str; 3]| renewed(&said(&list.map(|s| format!("serial={s}\n")).concat()));
        assert!(serials(["1", "1", "2"]).is_ok());
        for wrong in [["1", "1", "1"], ["1", "2", "3"], ["1", "2", "2"]] {
            assert!(serials(wrong).is_err(), "{wrong:?}");
        }
        assert!(renewed(&said("serial=1\nserial=1\n")).is_err() && renewed(&said("")).is_err());
    }

    #[test]
    fn only_the_certificate_of_the_machine_is_shown() {
        let certificate = b"not a certificate";
        let own = said(&format!("{}  -\n", Digest::of(certificate)));
        let names = ["a.example".to_owned()];
        assert!(is_shown(certificate, &own, &names).unwrap_err().starts_with("not for a.example"));
        assert!(is_shown(b"another", &own, &names).unwrap_err().contains("another certificate"));
        assert!(is_shown(certificate, &own, &[]).is_ok());
    }

    #[test]
    fn one_at_a_port_is_looked_at_there() {
        let text = "[firewall]\nallow = [{ port = 443 }]\n\
            [containers.web]\npackages = [\"nginx-light\"]\ncommand = [\"nginx\"]\npublish = [{ host = 443 }]\n\
            [certificates.web]\nnames = [\"a.example\"]\ncontainer = \"web\"\n";
        let ids = |text: &str| checks(&Scope::of(&recipe_of(text))).into_iter().map(|c| c.id).collect::<Vec<_>>();
        assert_eq!(ids(text), ["certificate-web", "certificate-web-renewed"]);
        let port = format!("{text}port = 443\n");
        assert_eq!(ids(&port), ["certificate-web", "certificate-web-renewed", "certificate-web-shown"]);
    }

    #[test]
    fn names_are_words() {
        let mut recipe = recipe_of(
            "[containers.web]\npackages = [\"nginx-light\"]\ncommand = [\"nginx\"]\n\
             [certificates.web]\nnames = [\"a.example\"]\ncontainer = \"web\"\n",
        );
        let certificate = recipe.certificates.remove("web").expect("it is there");
        quote::tests::harmless(|hostile| {
            let mut certificate = certificate.clone();
            certificate.names = vec![hostile.to_owned()];
            certificate.container = hostile.to_owned();
            certificate.path = hostile.to_owned();
            kept_script(hostile, &certificate) + &renewed_script(hostile)
        });
    }
}
