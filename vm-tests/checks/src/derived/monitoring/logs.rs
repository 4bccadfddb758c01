//! The journal on its way to another machine: the program that sends it runs, or waits for its server, which is no part of
//! the lab, and was told what the profile says. That entries arrive is what vm-tests/scenarios/logs.toml shows.

use crate::{
    answer::{Judged, none_of, short},
    check::Check,
    quote,
    scope::Scope,
};
use diorite_machine::Output;
use diorite_model::recipe::Logs;

/// Where the journal goes.
pub fn check(scope: &Scope<'_>) -> Option<Check> {
    let logs = scope.recipe.monitoring.logs.as_ref()?;
    let (url, authorities) = logs.place();
    let script = format!(
        "systemctl show -p ActiveState -p SubState -p ExecStart {unit}; \
         openssl x509 -noout -in {file} >/dev/null 2>&1 || grep -qs 'BEGIN CERTIFICATE' {file} && echo authorities:yes; \
         journalctl -b -u {unit} -o cat --no-pager | grep 'Upload to ' | tail -n 1",
        unit = Logs::UNIT,
        file = quote::word(&authorities),
    );
    let what = "the journal is sent, or waits for the server that takes it";
    let judge = move |said: &Output| sent(said, &url, &authorities);
    Some(Check::settling_script("logs-sent", what, script, judge))
}

fn sent(output: &Output, url: &str, authorities: &str) -> Judged {
    let of = |key: &str| output.text.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
    let (state, sub) = (of("ActiveState="), of("SubState="));
    let argument = |text: String| of("ExecStart=").split(' ').any(|word| word == text);
    // curl's words for a certificate, a key or an authority that cannot be read.
    let last = output.text.lines().find(|line| line.starts_with("Upload to ")).unwrap_or_default();
    let unreadable = ["local SSL certificate", "private key", "certificate verify locations", "certificate file"];
    let waits = state == "active" || state == "activating";
    let wrong = [
        (!waits).then(|| format!("it is {state} ({sub}): {}", short(last))),
        (!argument(format!("--url={url}"))).then(|| format!("it does not send to {url}: {}", short(of("ExecStart=")))),
        (!argument(format!("--trust={authorities}"))).then(|| format!("it does not trust {authorities} alone")),
        (!output.text.contains("authorities:yes")).then(|| format!("{authorities} holds no certificate")),
        (state == "activating" && last.is_empty()).then(|| "it ends before it asks its server".to_owned()),
        unreadable.iter().any(|words| last.contains(words)).then(|| short(last)),
    ];
    none_of(&wrong.into_iter().flatten().collect::<Vec<_>>(), format!("{state} ({sub}), to {url}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::tests::recipe_of;

    #[test]
    fn a_journal_that_goes_elsewhere_or_nowhere_is_seen() {
        const GOOD: &str = "ExecStart={ path=/usr/lib/systemd/systemd-journal-upload ; \
            argv[]=/usr/lib/systemd/systemd-journal-upload --save-state --url=https://a.example:443 --trust=/b.pem --key=- --cert=- ; \
            ignore_errors=no }\nActiveState=activating\nSubState=auto-restart\nauthorities:yes\n\
            Upload to https://a.example:443/upload failed: Could not resolve host: a.example\n";
        let judge = |text: &str| sent(&Output { status: 0, text: text.to_owned() }, "https://a.example:443", "/b.pem");
        assert_eq!(judge(GOOD), Ok("activating (auto-restart), to https://a.example:443".to_owned()));
        for (from, to) in [
            ("activating", "failed"),
            ("--url=https://a", "--url=https://b"),
            ("--trust=/b.pem", "--trust=all"),
            ("authorities:yes\n", ""),
            ("Upload to", "Options --key= and --cert= must be used together"),
            (
                "Could not resolve host: a.example",
                "could not load PEM client certificate from /run/x, private key missing",
            ),
        ] {
            assert!(judge(&GOOD.replace(from, to)).is_err(), "{to}");
        }
        assert!(judge("").is_err());
    }

    #[test]
    fn an_authority_is_a_word() {
        let mut recipe = recipe_of("[monitoring.logs]\nurl = \"https://a.example\"\n");
        assert!(check(&Scope::of(&recipe)).is_some());
        recipe.monitoring.logs = None;
        assert!(check(&Scope::of(&recipe)).is_none());
    }
}
