//! `[services]`.

use crate::Result;
use crate::profile::{
    field::*,
    section::Section,
    values,
    written::{Written, word},
};
use crate::recipe::*;
use std::collections::BTreeMap;

pub(crate) const SERVICES: &[Field] = &[
    texts("enable", &values::UNIT, "started at boot whatever their packages say"),
    texts("disable", &values::UNIT, "not started at boot"),
    texts("mask", &values::UNIT, "cannot be started at all"),
    named("units", &values::NAME, OWN, "services of the profile's own, by name, in a sandbox"),
];
const OWN: &[Field] = &[
    words("exec", &values::ARGUMENT, "the program, an absolute path, and its arguments").needed(),
    text("description", &values::SENTENCE, "one line for people").or_said("`Service NAME`"),
    text("user", &values::SERVICE_USER, "the user it runs as; `dynamic`: an account that exists while it runs")
        .or_text("dynamic"),
    texts("after", &values::UNIT, "units that start before it, if they start"),
    texts("requires", &values::UNIT, "units that must have started before it"),
    text("timer", &values::TIMER, "when it is started").or_said("at boot"),
    choice("restart", RESTART, "when it is started again").or_said("`on-failure`; with a timer `no`"),
    mapping("environment", &values::UNIT_VARIABLE, &values::UNIT_VALUE, "variables of its environment"),
    texts(
        "credentials",
        &values::UNIT_CREDENTIAL,
        "credentials of the machine it may read, in `$CREDENTIALS_DIRECTORY`",
    ),
    boolean("state", "a directory of its own, /var/lib/NAME, in `$STATE_DIRECTORY`").or(false),
    boolean("network", "whether it may use the network").or(false),
];
const RESTART: &[(&str, &str)] = &[("no", "never"), ("on-failure", "when it failed"), ("always", "whenever it ended")];

/// Units without which the image would come up unreachable or unprotected.
const OURS: [&str; 4] =
    ["diorite-firewall.service", "ssh.service", "systemd-networkd.service", "systemd-udevd.service"];

pub(crate) fn services(top: &Section) -> Result<Services> {
    let t = top.table_or_empty("services")?;
    let (enable, disable, mask) = (t.texts("enable")?, t.texts("disable")?, t.texts("mask")?);
    for unit in &enable {
        if let Some(other) = disable.iter().chain(&mask).find(|o| o.value == unit.value) {
            return Err(t
                .files
                .error(other.span, format!("`{}` is switched on and off", unit.value))
                .because(format!("`services.enable` names it at {}", t.files.place(unit.span))));
        }
    }
    if let Some(unit) = disable.iter().chain(&mask).find(|u| OURS.contains(&u.value.as_str())) {
        return Err(t
            .files
            .error(unit.span, format!("`{}` cannot be switched off", unit.value))
            .because("the image would come up unreachable or unprotected"));
    }
    let plain = |list: Vec<crate::profile::section::At<String>>| list.into_iter().map(|u| u.value).collect();
    Ok(Services { enable: plain(enable), disable: plain(disable), mask: plain(mask), units: units(&t)? })
}

fn units(t: &Section) -> Result<BTreeMap<String, Unit>> {
    t.each("units", unit)
}

fn unit(name: &str, u: &Section) -> Result<Unit> {
    let exec = u.texts("exec")?;
    let program = exec.first().ok_or_else(|| u.missing("exec"))?;
    let absolute = if program.value.starts_with('/') { Ok(()) } else { Err("it is not an absolute path".to_owned()) };
    absolute.and_then(|()| (values::PROGRAM.check)(&program.value)).map_err(|cause| {
        let what = format!("`{}.exec` cannot start this program", u.path);
        u.files.error(program.span, what).because(cause).hint("allowed: an absolute path, such as `/usr/bin/rsync`")
    })?;
    let timer = u.text("timer")?.map(|t| values::timer(&t.value).expect("its form was checked"));
    let restart = match u.text("restart")?.map(|r| (r.value, r.span)) {
        None if timer.is_some() => Restart::No,
        None => Restart::OnFailure,
        Some((word, span)) => match word.as_str() {
            "always" if timer.is_some() => {
                let error = u.files.error(span, format!("`{name}` cannot both have a timer and always run"));
                return Err(error.hint("take out `timer`, or let `restart` be `no` or `on-failure`"));
            }
            "always" => Restart::Always,
            "no" => Restart::No,
            _ => Restart::OnFailure,
        },
    };
    let secret = |_: &str| {
        "give it to the machine as a systemd credential, name that in `credentials`, and let the program read it from \
         `$CREDENTIALS_DIRECTORY`; change it as well, since it has been written down"
            .to_owned()
    };
    let environment = u.environment("environment", secret)?;
    Ok(Unit {
        description: u.text("description")?.map_or_else(|| format!("Service {name}"), |d| d.value),
        exec: exec.into_iter().map(|e| e.value).collect(),
        user: u.needed("user")?.value,
        after: u.plain("after")?,
        requires: u.plain("requires")?,
        timer,
        restart,
        environment,
        credentials: u.plain("credentials")?,
        state: u.flag("state")?,
        network: u.flag("network")?,
    })
}

/// The table that says this.
pub(crate) fn written(services: &Services) -> Written {
    let unit = |u: &Unit| {
        Written::default()
            .list("exec", &u.exec)
            .with("description", &*u.description)
            .with("user", &*u.user)
            .list("after", &u.after)
            .list("requires", &u.requires)
            .maybe("timer", u.timer.as_ref().map(values::timer_text))
            .with("restart", word(&u.restart))
            .named("environment", &u.environment, String::clone)
            .list("credentials", &u.credentials)
            .with("state", u.state)
            .with("network", u.network)
    };
    Written::default()
        .list("enable", &services.enable)
        .list("disable", &services.disable)
        .list("mask", &services.mask)
        .named("units", &services.units, unit)
}
