//! The secure shell: whom it lets in and how, asked of sshd itself, by a login, and on the wire.

use crate::{
    answer::{Judged, none_of, verdict},
    asker::Asker,
    check::{Check, CheckRun, Phase},
    quote,
    scope::Scope,
    sweep::Family,
};
use diorite_model::{
    Digest, base64,
    recipe::{Access, GIVEN_KEYS, RootLogin, SecondFactor},
    report::Evidence,
};
use std::{collections::BTreeSet, sync::Arc};

/// Its port.
pub const PORT: u16 = 22;
/// Name of the key that a login is tried with.
const KEY: &str = "/run/diorite-verify-key";

/// What sshd says of itself, whose keys it knows, and that a login goes by a key alone.
pub fn checks(scope: &Scope<'_>) -> Vec<Check> {
    let (recipe, access) = (scope.recipe, &scope.recipe.access);
    let effective = effective(access);
    let what = "sshd admits only the declared users, and only with keys";
    let settings = "/usr/sbin/sshd -T -C user=root,host=lab,addr=10.77.0.1";
    let mut all = vec![Check::script("secure-shell", what, settings, move |said| secure_shell(&said.text, &effective))];
    let people: BTreeSet<String> = access.people().map(|(name, _)| name.clone()).collect();
    let (looks, what) = (recipe.keys_files(), "only declared SSH keys are authorized");
    all.push(Check::script("strangers-keys", what, key_files(), move |said| keys(&said.text, &people, &looks)));
    // A token cannot be touched here.
    let somebody = access.people().next().filter(|_| access.second_factor == SecondFactor::None);
    if let Some((name, _)) = somebody {
        let what = format!("{name} can log in over SSH with a key, and in no other way");
        let (id, script, name) = (format!("login-{name}"), try_login(name), name.clone());
        all.push(Check::script(id, what, script, move |said| login(&said.text, &name)));
    }
    all
}

/// It answers on the wire.
pub fn banner(scope: &Scope<'_>, family: Family) -> Option<Check> {
    scope.admits_conversation(family, PORT).then(|| {
        let name = family.name();
        let what = format!("port {PORT} sends an SSH banner ({name})");
        let check = Check::outside(format!("ssh-banner-{name}"), what, move |machine| {
            let address = machine.address(family)?;
            machine.retried(|m| Ok(ssh_banner(&m.lab().banner(address, PORT)?)))
        });
        check.over(family)
    })
}

/// Its host key is the machine's own: another machine from the same disk has another.
pub fn clones(scope: &Scope<'_>) -> Option<Check> {
    let family = scope.families.iter().copied().find(|family| scope.admits_conversation(*family, PORT))?;
    let ask = move |machine: &mut Asker<'_>| {
        let address = machine.address(family)?;
        machine.retried(|m| Ok(m.lab().host_key(address, PORT)?.map(|key| fingerprint(&key))))
    };
    let what = "two machines booted from this disk have different SSH host keys";
    let check = Check::new("clones-differ", what, Evidence::Outside, CheckRun::Both(Arc::new(ask), different_keys));
    Some(check.over(family).injected_only().phase(Phase::System))
}

/// Lines that `sshd -T` must say for root.
fn effective(access: &Access) -> Vec<String> {
    let root = access.root_login == RootLogin::Credential;
    let mut lines: Vec<String> =
        ["passwordauthentication no", "kbdinteractiveauthentication no", "permitemptypasswords no"]
            .map(Into::into)
            .into();
    lines.push(format!("permitrootlogin {}", if root { "without-password" } else { "no" }));
    lines.push(format!("maxsessions {}", access.sessions));
    let people: Vec<&str> = access.people().map(|(n, _)| n.as_str()).chain(root.then_some("root")).collect();
    if people.is_empty() {
        lines.push("denyusers *".into());
    }
    lines.extend(people.iter().map(|name| format!("allowusers {name}")));
    if access.second_factor == SecondFactor::U2f {
        lines.push("pubkeyauthoptions touch-required verify-required".into());
    }
    if let Some(minutes) = access.idle_minutes {
        lines.push(format!("unusedconnectiontimeout {}", u32::from(minutes) * 60));
    }
    if !access.user_ca.is_empty() {
        lines.push("trustedusercakeys /etc/ssh/user_ca.pub".into());
    }
    lines
}

/// What [`keys`] reads.
fn key_files() -> String {
    format!(
        "for f in /root/.ssh/authorized_keys* /etc/ssh/authorized_keys.d/* {GIVEN_KEYS}/*; do \
         test -s \"$f\" && echo \"$f\"; done; sshd=$(/usr/sbin/sshd -T); echo \"$sshd\" | grep ^authorizedkeys"
    )
}

/// What [`login`] reads.
fn try_login(name: &str) -> String {
    let ssh = "ssh -n -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR";
    let (at, file) =
        (quote::word(&format!("{name}@127.0.0.1")), quote::word(&format!("/etc/ssh/authorized_keys.d/{name}")));
    format!(
        "ssh-keygen -q -t ed25519 -N '' -f {KEY} && mount --bind {KEY}.pub {file}; \
         echo \"in:$({ssh} -i {KEY} {at} id -un 2>&1)\"; \
         echo \"out:$({ssh} -o PubkeyAuthentication=no -o PreferredAuthentications=password,keyboard-interactive \
         {at} id -un 2>&1)\"; umount {file}; rm -f {KEY} {KEY}.pub"
    )
}

/// Lines of `sshd -T`, sshd(8).
fn secure_shell(text: &str, wanted: &[String]) -> Judged {
    let said: BTreeSet<&str> = text.lines().collect();
    let mut wrong: Vec<String> =
        wanted.iter().filter(|w| !said.contains(w.as_str())).map(|w| format!("not said: {w}")).collect();
    let more = said.iter().filter(|l| l.starts_with("allowusers ") && !wanted.iter().any(|w| w == *l));
    wrong.extend(more.map(|l| format!("also: {l}")));
    none_of(
        &wrong,
        wanted.iter().filter(|w| w.contains("users ") || w.contains("root")).cloned().collect::<Vec<_>>().join(", "),
    )
}

/// Files with keys, then lines of `sshd -T`: where it looks for them.
fn keys(text: &str, people: &BTreeSet<String>, looks: &str) -> Judged {
    let theirs = |path: &str| path.strip_prefix("/etc/ssh/authorized_keys.d/").is_some_and(|n| people.contains(n));
    let files: Vec<&str> = text.lines().filter(|l| l.starts_with('/')).collect();
    let mut wrong: Vec<String> = files.iter().filter(|f| !theirs(f)).map(|f| format!("keys in {f}")).collect();
    for line in [format!("authorizedkeysfile {looks}"), "authorizedkeyscommand none".into()] {
        if !text.lines().any(|l| l == line) {
            wrong.push(format!("sshd does not say `{line}`"));
        }
    }
    none_of(&wrong, if files.is_empty() { "none".into() } else { files.join(", ") })
}

fn login(text: &str, name: &str) -> Judged {
    let said = |word: &str| {
        text.lines().rfind(|l| l.starts_with(word)).map(|l| l[word.len()..].to_owned()).unwrap_or_default()
    };
    let (inside, outside) = (said("in:"), said("out:"));
    // A banner may stand before the answer.
    if !text.lines().take_while(|l| !l.starts_with("out:")).any(|l| l.trim_start_matches("in:") == name) {
        return Err(format!("the key does not let {name} in: {inside}"));
    }
    match text.contains("Permission denied (publickey).") {
        true => Ok("in with the key; without it: Permission denied (publickey)".into()),
        false => Err(format!("without the key: {outside}")),
    }
}

/// RFC 4253 §4.2.
fn ssh_banner(line: &Result<String, String>) -> Judged {
    match line {
        Ok(line) => verdict(line.starts_with("SSH-2.0-"), line.clone()),
        Err(why) => Err(why.clone()),
    }
}

/// What ssh-keygen(1) calls a key in public.
fn fingerprint(key: &[u8]) -> String {
    format!("SHA256:{}", base64::encode(&Digest::of(key).0).trim_end_matches('='))
}

/// The fingerprints of two machines' host keys, or why one showed none.
fn different_keys(one: &Judged, other: &Judged) -> Judged {
    match (one, other) {
        (Ok(one), Ok(other)) if one == other => Err(format!("both have {one}")),
        (Ok(one), Ok(other)) => Ok(format!("{one} and {other}")),
        (Err(why), _) | (_, Err(why)) => Err(format!("one shows no key: {why}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_sshd_says_and_does_is_judged() {
        let wanted = ["permitrootlogin no", "allowusers anna"].map(str::to_owned);
        assert!(secure_shell("permitrootlogin no\nallowusers anna\nport 22", &wanted).is_ok());
        assert!(secure_shell("permitrootlogin yes\nallowusers anna", &wanted).is_err());
        assert!(secure_shell("permitrootlogin no\nallowusers anna\nallowusers ben", &wanted).is_err(), "one too many");
        let looks = "authorizedkeysfile /etc/ssh/authorized_keys.d/%u\nauthorizedkeyscommand none";
        let people = BTreeSet::from(["anna".to_owned()]);
        let keys = |text: &str, people| keys(text, people, "/etc/ssh/authorized_keys.d/%u");
        assert!(keys(looks, &people).is_ok());
        assert!(keys(&format!("/etc/ssh/authorized_keys.d/anna\n{looks}"), &people).is_ok());
        for more in ["/root/.ssh/authorized_keys", "/etc/ssh/authorized_keys.d/root", "/etc/ssh/authorized_keys.d/ann"]
        {
            assert!(keys(&format!("{more}\n{looks}"), &people).is_err(), "{more}");
        }
        assert!(keys(&looks.replace("none", "/usr/bin/keys"), &people).is_err(), "a program gives keys");
        assert!(keys("", &people).is_err(), "an empty answer proves nothing");
        assert!(super::keys(looks, &people, "/etc/ssh/authorized_keys.d/%u /run/diorite-keys/%u").is_err());
        let refused = "out:anna@127.0.0.1: Permission denied (publickey).";
        assert!(login(&format!("in:anna\n{refused}"), "anna").is_ok());
        assert!(login(&format!("in:Authorised use only.\nanna\n{refused}"), "anna").is_ok(), "a banner before it");
        assert!(login(&format!("in:Permission denied (publickey).\n{refused}"), "anna").is_err());
        assert!(login("in:anna\nout:Permission denied (publickey,password).", "anna").is_err());
        assert!(login("in:anna\nout:anna", "anna").is_err() && login("", "anna").is_err());
    }

    #[test]
    fn what_it_says_on_the_wire_is_judged() {
        assert!(ssh_banner(&Ok("SSH-2.0-OpenSSH_10.0".into())).is_ok());
        assert!(ssh_banner(&Ok("220 smtp".into())).is_err() && ssh_banner(&Err("no connection".into())).is_err());
        assert_eq!(fingerprint(b""), "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU");
        let (one, other) = (Ok("SHA256:a".to_owned()), Ok("SHA256:b".to_owned()));
        assert!(different_keys(&one, &other).is_ok() && different_keys(&one, &one).is_err());
        assert!(
            different_keys(&one, &Err("silent".into())).is_err()
                && different_keys(&Err("silent".into()), &one).is_err()
        );
    }

    #[test]
    fn names_are_words() {
        quote::tests::harmless(try_login);
    }
}
