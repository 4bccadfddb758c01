//! `[hardening]`.

use crate::hardening::{self as table, DIRECTIVES, Level, SETUID_AT_MOST, SettingKind};
use crate::profile::section::{At, nearest};
use crate::profile::source::Span;
use crate::profile::{field::*, section::Section, values, written::Written};
use crate::recipe::*;
use crate::{Error, Result};
use std::collections::BTreeMap;

pub(crate) const HARDENING: &[Field] = &[
    choice("level", LEVEL, "hardening level; the guide lists each setting with its reason").or_text("standard"),
    mapping("sysctl", &values::SYSCTL, &values::SYSCTL_VALUE, "further kernel settings, a string each"),
    texts("blocked_modules", &values::BLOCKED_MODULE, "further kernel modules that must not load"),
    tables("exceptions", EXCEPTION, "settings not to apply, each with its reason"),
    tables("setuid", SETUID, "programs that keep their setuid or setgid bit, each with its reason"),
];
const LEVEL: &[(&str, &str)] = &[
    ("standard", "what costs nothing and no server misses"),
    ("strict", "also what costs speed, or what some servers do need"),
];
const EXCEPTION: &[Field] = &[
    text("unit", &values::UNIT, "the unit the exception applies to").or_said("the whole machine"),
    text("setting", &values::SETTING, "with `unit` a directive of its sandbox, else a setting of the guide's table")
        .needed(),
    text("why", &values::PROSE, "the reason; it stands in the machine's documentation").needed(),
];
const SETUID: &[Field] = &[
    text("path", &values::SETUID_PATH, "the program").needed(),
    text("why", &values::PROSE, "the reason; it stands in the machine's documentation").needed(),
];

pub(crate) fn hardening(top: &Section) -> Result<Hardening> {
    let t = top.table_or_empty("hardening")?;
    let level_word = t.needed("level")?;
    let level = if level_word.value == "strict" { Level::Strict } else { Level::Standard };
    let exceptions = exceptions(&t, level)?;
    let excepted = |name: &str| exceptions.iter().any(|e| e.unit.is_none() && same(&e.setting, name));
    let mut all = Hardening { level, setuid: setuid(&t)?, ..Hardening::default() };
    for setting in table::settings(level).filter(|s| !excepted(s.name)) {
        let (name, value) = (setting.name.to_owned(), setting.value.to_owned());
        match setting.place {
            SettingKind::Sysctl => drop(all.sysctl.insert(name, value)),
            SettingKind::Sshd => drop(all.sshd.insert(name, value)),
            SettingKind::Word => all.command_line.push(name),
            SettingKind::Module => all.blocked_modules.push(name),
        }
    }
    let mut said: BTreeMap<String, Span> = BTreeMap::new();
    for (name, value) in t.mapping("sysctl")? {
        if let Some(other) = said.insert(canonical(&name), value.span) {
            let error = t.files.error(value.span, format!("`hardening.sysctl` sets `{name}` twice"));
            return Err(error
                .because(format!("it already stands at {}", t.files.place(other)))
                .hint("remove one of them"));
        }
        if all.sysctl.get(&name).is_some_and(|ours| *ours != value.value) {
            let chosen = t.key("level").map(|_| level_word.span);
            return Err(contradicted(&t, level, chosen, &name, &value));
        }
        all.sysctl.insert(name, value.value);
    }
    for module in t.texts("blocked_modules")? {
        if !all.blocked_modules.iter().any(|m| same(m, &module.value)) {
            all.blocked_modules.push(module.value);
        }
    }
    Ok(Hardening { exceptions, ..all })
}

/// Names of modules and sysctls that differ in `-` and `_`, or in `/` and `.`, are the same to the kernel.
fn canonical(name: &str) -> String {
    name.replace('-', "_").replace('/', ".")
}
fn same(one: &str, other: &str) -> bool {
    canonical(one) == canonical(other)
}

/// One of our sysctls with another value, and no exception.
fn contradicted(t: &Section, level: Level, chosen: Option<Span>, name: &str, value: &At<String>) -> Error {
    let ours = table::settings(level).find(|s| s.name == name).expect("it is one of ours");
    let error = t.files.error(value.span, format!("`{name}` is set to `{}` by this level of hardening", ours.value));
    let error = match chosen {
        Some(at) => {
            let second = format!("the level is chosen at {}\n{}", t.files.place(at), t.files.show(at));
            error.detail(format!("{}\n{second}", t.files.show(value.span)))
        }
        None => error,
    };
    let hint =
        format!("say why this machine differs: [[hardening.exceptions]] with setting = \"{name}\" and why = \"…\"");
    error.because(ours.why).hint(hint)
}

fn exceptions(t: &Section, level: Level) -> Result<Vec<Exception>> {
    let mut all: Vec<(Exception, Span)> = Vec::new();
    for e in t.tables("exceptions")? {
        let (unit, setting) = (e.text("unit")?.map(|u| u.value), e.needed("setting")?);
        let known: Vec<&str> = match unit {
            Some(_) => DIRECTIVES.iter().map(|(name, _)| *name).collect(),
            None => table::settings(level).map(|s| s.name).collect(),
        };
        if !known.iter().any(|k| same(k, &setting.value)) {
            let of = if unit.is_some() {
                "not a directive of a sandbox".into()
            } else {
                format!("not a setting of level `{}`", word(level))
            };
            let near = nearest(&setting.value, &known).map(|n| format!("did you mean `{n}`? ")).unwrap_or_default();
            let what = format!("`{}` is {of}", setting.value);
            let list =
                if unit.is_some() { known.join(", ") } else { "those of the table in docs/guide/hardening.md".into() };
            return Err(e.files.error(setting.span, what).hint(format!("{near}there are: {list}")));
        }
        if let Some((_, first)) = all.iter().find(|(o, _)| o.unit == unit && same(&o.setting, &setting.value)) {
            let error = e.files.error(setting.span, format!("`{}` has two exceptions", setting.value));
            return Err(error
                .because(format!("the first stands at {}", e.files.place(*first)))
                .hint("remove one of them"));
        }
        let why = e.needed("why")?.value;
        all.push((Exception { unit, setting: setting.value, why }, setting.span));
    }
    Ok(all.into_iter().map(|(e, _)| e).collect())
}

fn word(level: Level) -> &'static str {
    LEVEL[usize::from(level == Level::Strict)].0
}

fn setuid(t: &Section) -> Result<Vec<Setuid>> {
    let mut all: Vec<Setuid> = Vec::new();
    for s in t.tables("setuid")? {
        let path = s.needed("path")?;
        // One place is sudo's.
        if all.len() + 1 >= SETUID_AT_MOST {
            let what = format!("more than {SETUID_AT_MOST} programs would keep their setuid bit");
            return Err(s.files.error(path.span, what).because("`sudo` is one of them").hint("remove one of them"));
        }
        if all.iter().any(|o| o.path == path.value) {
            return Err(s.files.error(path.span, format!("`{}` stands in `hardening.setuid` twice", path.value)));
        }
        all.push(Setuid { path: path.value, why: s.needed("why")?.value });
    }
    Ok(all)
}

/// The table that says this: what differs from the level's own settings.
pub(crate) fn written(hardening: &Hardening) -> Written {
    let ours = |name: &str, value: &str| table::settings(hardening.level).any(|s| s.name == name && s.value == value);
    let sysctl: BTreeMap<_, _> = hardening.sysctl.iter().filter(|(n, v)| !ours(n, v)).collect();
    let sysctl: toml::Table = sysctl.into_iter().map(|(n, v)| (n.clone(), v.clone().into())).collect();
    let modules: Vec<String> = hardening.blocked_modules.iter().filter(|m| !ours(m, "")).cloned().collect();
    let exception = |e: &Exception| {
        Written::default().maybe("unit", e.unit.as_deref()).with("setting", &*e.setting).with("why", &*e.why)
    };
    Written::default()
        .with("level", word(hardening.level))
        .with("sysctl", sysctl)
        .list("blocked_modules", &modules)
        .tables("exceptions", &hardening.exceptions, exception)
        .tables("setuid", &hardening.setuid, |s| Written::default().with("path", &*s.path).with("why", &*s.why))
}
