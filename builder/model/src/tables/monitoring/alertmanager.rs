//! `[monitoring.alertmanager]`: who is told.

use super::alerts::SEVERITY;
use super::span::span;
use crate::Result;
use crate::profile::{
    field::*,
    section::Section,
    values,
    written::{Written, word},
};
use crate::recipe::*;
use crate::tables::firewall::parts::{peers, peers_written};

pub(crate) const ALERTMANAGER: &[Field] = &[
    texts(
        "from",
        &values::PEER,
        "who may read it and silence alerts: networks, and names of `firewall.sets`; the firewall admits them. An empty \
         list: the machine itself, and it listens on loopback only",
    ),
    named("receivers", &values::NAME, RECEIVER, "who is told, by name").needed(),
    text("group_wait", &values::SPAN, "how long the first alerts of one kind are gathered into one message")
        .or_text("10s"),
    text(
        "group_interval",
        &values::SPAN,
        "time between two messages about one kind of alert when something has changed",
    )
    .or_text("1m"),
    text("repeat_interval", &values::SPAN, "an alert that goes on is told again after this time").or_text("4h"),
];
const RECEIVER: &[Field] = &[
    table("mail", MAIL, "by mail"),
    table("webhook", WEBHOOK, "by a request to a web server, in Alertmanager's JSON"),
    choice("least_severity", SEVERITY, "alerts below this are not told").or_text("warning"),
];
const MAIL: &[Field] = &[
    text(
        "smarthost",
        &values::SMARTHOST,
        "the server that takes the mail, with its port; on 465 TLS from the first byte",
    )
    .needed(),
    text("from", &values::MAIL, "sender").needed(),
    texts("to", &values::MAIL, "receivers").needed(),
    boolean("starttls", "STARTTLS is required").or(true),
    text("user", &values::MAIL_USER, "the account on the server, where it asks for one"),
    text("credential", &values::CREDENTIAL, "the systemd credential with the account's password"),
];
const WEBHOOK: &[Field] = &[
    text("url", &values::URL, "where to").needed(),
    text("credential", &values::CREDENTIAL, "the systemd credential with the token that is shown there (RFC 6750)"),
];

pub(super) fn alertmanager(t: &Section) -> Result<Alertmanager> {
    let receivers = t.each("receivers", |_, r| receiver(r))?;
    if receivers.is_empty() && t.key("receivers").is_some_and(|_| t.named("receivers").is_ok_and(|all| all.is_empty()))
    {
        let error = t.files.error(t.key("receivers").unwrap_or(t.span), format!("`{}` tells nobody", t.path));
        return Err(error.hint("declare a receiver: `[monitoring.alertmanager.receivers.team]`"));
    }
    Ok(Alertmanager {
        from: peers(t, "from")?,
        group_wait: span(t, "group_wait")?,
        group_interval: span(t, "group_interval")?,
        repeat_interval: span(t, "repeat_interval")?,
        receivers,
    })
}

fn receiver(t: &Section) -> Result<Receiver> {
    let by = match (t.table("mail")?, t.table("webhook")?) {
        (Some(m), None) => mail(&m)?,
        (None, Some(w)) => webhook(&w)?,
        (Some(_), Some(w)) => {
            let error = t.files.error(w.span, format!("`{}` is told in two ways: `mail` and `webhook`", t.path));
            return Err(error.hint("make two receivers of it"));
        }
        (None, None) => {
            let error = t.files.error(t.span, format!("`{}` does not say how somebody is told", t.path));
            return Err(error.hint(
                "write `mail = { smarthost = \"mail.example.org:587\", from = …, to = [ … ] }` or `webhook = { url = … }`",
            ));
        }
    };
    let least_severity =
        if t.needed("least_severity")?.value == "critical" { Severity::Critical } else { Severity::Warning };
    Ok(Receiver { by, least_severity })
}

fn mail(t: &Section) -> Result<Delivery> {
    let to = t.plain("to")?;
    if to.is_empty() {
        let error = t.files.error(t.key("to").unwrap_or(t.span), format!("`{}` names no receiver", t.path));
        return Err(error.hint("write an address under `to`"));
    }
    let (user, credential) = (t.text("user")?, t.text("credential")?);
    let smarthost = t.needed("smarthost")?.value;
    let encrypted = t.flag("starttls")? || smarthost.ends_with(":465");
    match (&user, &credential) {
        (Some(user), None) => {
            let error = t.files.error(user.span, format!("`{}` has a user and no password", t.path));
            return Err(error.hint("name the systemd credential that holds it: `credential = \"mail.password\"`"));
        }
        (None, Some(credential)) => {
            let error = t.files.error(credential.span, format!("`{}` has a password and no user", t.path));
            return Err(error.hint("name the account on the server: `user = …`"));
        }
        (Some(user), Some(_)) if !encrypted => {
            let error = t.files.error(user.span, format!("`{}` would send its password in clear", t.path));
            return Err(error.hint("remove `starttls = false`, or `user` and `credential`"));
        }
        _ => {}
    }
    Ok(Delivery::Mail {
        smarthost,
        from: t.needed("from")?.value,
        to,
        starttls: t.flag("starttls")?,
        user: user.map(|u| u.value),
        credential: credential.map(|c| c.value),
    })
}

fn webhook(t: &Section) -> Result<Delivery> {
    let (url, credential) = (t.needed("url")?.value, t.text("credential")?);
    if let Some(credential) = credential.as_ref().filter(|_| url.starts_with("http://")) {
        let error = t.files.error(credential.span, format!("`{}` would send its token in clear", t.path));
        return Err(error.hint("write `https://`, or remove `credential`"));
    }
    Ok(Delivery::Webhook { url, credential: credential.map(|c| c.value) })
}

/// The table that says this.
pub(super) fn written(manager: &Alertmanager) -> Written {
    let span = |seconds: u32| format!("{seconds}s");
    Written::default()
        .with("from", peers_written(&manager.from))
        .named("receivers", &manager.receivers, receiver_written)
        .with("group_wait", span(manager.group_wait))
        .with("group_interval", span(manager.group_interval))
        .with("repeat_interval", span(manager.repeat_interval))
}

fn receiver_written(receiver: &Receiver) -> Written {
    let t = Written::default();
    let t = match &receiver.by {
        Delivery::Mail { smarthost, from, to, starttls, user, credential } => t.with(
            "mail",
            Written::default()
                .with("smarthost", &**smarthost)
                .with("from", &**from)
                .list("to", to)
                .with("starttls", *starttls)
                .maybe("user", user.as_deref())
                .maybe("credential", credential.as_deref()),
        ),
        Delivery::Webhook { url, credential } => {
            t.with("webhook", Written::default().with("url", &**url).maybe("credential", credential.as_deref()))
        }
    };
    t.with("least_severity", word(&receiver.least_severity))
}
