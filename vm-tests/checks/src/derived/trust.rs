//! Certificate authorities besides Debian's: OpenSSL accepts each by the machine's own list.

use crate::{
    answer::{Judged, short, verdict},
    check::Check,
    scope::Scope,
};
use diorite_machine::Output;
use diorite_model::certificate::pem;

/// Each authority of `[trust]`. The certificate comes from the recipe, so that one that is missing or another in the image is
/// seen; `verify` also refuses what has expired.
pub fn checks(scope: &Scope<'_>) -> Vec<Check> {
    let one = |(name, certificate): (&String, &String)| {
        let what = format!("the authority `{name}` is trusted");
        let text = pem(certificate).unwrap_or_default();
        let script = format!("openssl verify -partial_chain <<'PEM'\n{text}PEM\n");
        Check::script(format!("trust-{name}"), what, script, trusted)
    };
    scope.recipe.trust.iter().map(one).collect()
}

/// openssl-verify(1).
fn trusted(output: &Output) -> Judged {
    verdict(output.status == 0 && output.text.trim_end().ends_with("OK"), short(&output.text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_that_is_missing_or_old_is_seen() {
        let said = |status, text: &str| trusted(&Output { status, text: text.to_owned() });
        assert!(said(0, "stdin: OK\n").is_ok());
        assert!(
            said(2, "error 18 at 0 depth lookup: self-signed certificate\nerror stdin: verification failed\n").is_err()
        );
        assert!(said(2, "error 10 at 0 depth lookup: certificate has expired\nstdin: OK\n").is_err());
        assert!(said(127, "sh: 1: openssl: not found\n").is_err());
    }
}
