//! Who may: logins, and the privileges that a call needs.

use crate::endpoints::{Endpoint, Permission};
use crate::fault::text;
use crate::request::Head;
use crate::world::{TOKEN, USER, World};

/// Who asks, when the login is accepted; else why it is not.
pub(crate) fn authenticate(head: &Head, call: &Endpoint, world: &World) -> Result<String, &'static str> {
    if call.who == Permission::World {
        return Ok(String::new());
    }
    if let Some(token) = head.header("authorization").and_then(|h| h.strip_prefix("PVEAPIToken=")) {
        let who = token.split('=').next().unwrap_or_default().to_owned();
        return if token == TOKEN { Ok(who) } else { Err(text(401)) };
    }
    let ticket = head.header("cookie").and_then(|cookie| cookie.strip_prefix("PVEAuthCookie="));
    let ticket = ticket.filter(|ticket| world.tickets.contains(*ticket)).ok_or(text(401))?;
    // Uploads need no token against forgery.
    let guarded = call.method != "GET" && !call.path.ends_with("/upload");
    let csrf = head.header("CSRFPreventionToken") == Some(&format!("csrf-{ticket}"));
    if guarded && !csrf { Err("Permission denied - invalid csrf token") } else { Ok(USER.0.to_owned()) }
}

/// The text of a refusal, when a privilege is missing.
pub(crate) fn forbidden(call: &Endpoint, values: &[(String, String)], world: &World) -> Option<String> {
    lacking(&call.who, values, world)
}

fn lacking(who: &Permission, values: &[(String, String)], world: &World) -> Option<String> {
    let (path, names, any) = match who {
        Permission::World | Permission::All => return None,
        Permission::Every(path, names) => (path, names, false),
        Permission::Some(path, names) => (path, names, true),
        Permission::And(all) => return all.iter().find_map(|who| lacking(who, values, world)),
        // The last of them is what one is told of.
        Permission::Or(some) => {
            return some.iter().map(|who| lacking(who, values, world)).reduce(|one, other| one.and(other)).flatten();
        }
    };
    // Version 8 has one privilege for all that its guest agent is asked.
    let old: &[&str] = &["VM.Monitor"];
    let agent = names.contains(&"VM.GuestAgent.Audit") && !world.is_at_least(9, 0);
    let names = if agent { old } else { *names };
    let mut at = (*path).to_owned();
    for (name, value) in values {
        at = at.replace(&format!("{{{name}}}"), value);
    }
    let granted = world.privileges(&at);
    let has = |name: &&&str| granted.contains(**name);
    let fine = if any { names.iter().any(|n| has(&n)) } else { names.iter().all(|n| has(&n)) };
    (!fine).then(|| format!("Permission check failed ({at}, {})", names.join("|")))
}
