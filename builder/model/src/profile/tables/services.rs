//! `[services]`.

use super::*;

pub(super) const SERVICES: &[Field] = &[
    texts("enable", &values::UNIT, "started at boot whatever their packages say"),
    texts("disable", &values::UNIT, "not started at boot"),
    texts("mask", &values::UNIT, "cannot be started at all"),
];

/// Units without which the image would come up unreachable or unprotected.
const OURS: [&str; 4] =
    ["diorite-firewall.service", "ssh.service", "systemd-networkd.service", "systemd-udevd.service"];

pub(super) fn services(top: &Section) -> Result<Services> {
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
    let plain = |list: Vec<super::super::section::At<String>>| list.into_iter().map(|u| u.value).collect();
    Ok(Services { enable: plain(enable), disable: plain(disable), mask: plain(mask) })
}
