//! What a lock from a file may say: names that end in files, URLs and errors have the forms of a profile.

use super::{Lock, LockedPackage, Release, WHEEL};
use crate::profile::Form;
use crate::profile::forms::{EXTRA_COMPONENT, EXTRA_SUITE, NAME, PACKAGE_NAME, SUITE};
use crate::python::{Pinned, WheelName};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

impl Serialize for Lock {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        // What serde has derived for the fields, by `remote = "Self"`.
        Lock::serialize(self, to)
    }
}

impl<'de> Deserialize<'de> for Lock {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let lock = Lock::deserialize(from)?;
        admit(&lock).map_err(serde::de::Error::custom)?;
        Ok(lock)
    }
}

fn admit(lock: &Lock) -> Result<(), String> {
    if lock.schema != 1 {
        return Err(format!("it is of format {}, and this version reads format 1", lock.schema));
    }
    for (name, release) in &lock.release {
        fits("the name of a release", name, &SUITE)?;
        admit_release(release)?;
    }
    let containers = lock.container.keys().chain(lock.wheels.keys());
    containers.into_iter().try_for_each(|name| fits("the name of a container", name, &NAME))?;
    let lists = std::iter::once(&lock.image).chain(lock.container.values()).chain([&lock.tools]);
    lists.flatten().try_for_each(admit_package)?;
    lock.wheels.values().flatten().try_for_each(admit_wheel)
}

/// Name, version and architecture are those of the file's name, so that nothing can be called what it is not.
fn admit_wheel(wheel: &LockedPackage) -> Result<(), String> {
    let cannot = |cause: &str| cannot_be("a wheel", &wheel.path, cause);
    if wheel.release != WHEEL {
        return Err(cannot(&format!("its release is not `{WHEEL}`")));
    }
    let read = match wheel.path.contains("://") {
        true => {
            // The form of a URL in a profile.
            let line = format!("{} @ {} --hash=sha256:{}", wheel.name, wheel.path, wheel.sha256);
            Pinned::parse(&line).map_err(|cause| cannot(&cause))?;
            WheelName::parse(&wheel.file_name().replace("%2B", "+").replace("%2b", "+"))
        }
        false => match wheel.path.split_once('/') {
            Some((name, file)) if name == wheel.name => WheelName::parse(file),
            _ => Err("it is not `NAME/FILE`".into()),
        },
    };
    let read = read.map_err(|cause| cannot(&cause))?;
    let architecture = if read.is_pure() { "all" } else { "amd64" };
    let same =
        read.name == wheel.name && read.version.to_string() == wheel.version && architecture == wheel.architecture;
    if same { Ok(()) } else { Err(cannot("its name, version and architecture are not those of its file")) }
}

fn admit_release(release: &Release) -> Result<(), String> {
    fits("a suite", &release.suite, &EXTRA_SUITE)?;
    release.components.iter().try_for_each(|component| fits("a component", component, &EXTRA_COMPONENT))?;
    let date = |text: &str| text.chars().all(|c| c.is_ascii_digit() || "-:TZ".contains(c));
    match [Some(&release.date), release.valid_until.as_ref()].into_iter().flatten().find(|text| !date(text)) {
        Some(text) => Err(cannot_be("a date", text, "it is not a time of RFC 3339 in UTC")),
        None => Ok(()),
    }
}

fn admit_package(package: &LockedPackage) -> Result<(), String> {
    fits("the name of a package", &package.name, &PACKAGE_NAME)?;
    let of = |what: &str| format!("{what} of package `{}`", package.name);
    let only = |what: &str, text: &str, more: &str| {
        let fine = |c: char| c.is_ascii_alphanumeric() || more.contains(c);
        match text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(fine) {
            true => Ok(()),
            false => Err(cannot_be(&of(what), text, &format!("it is not letters, digits and `{more}`"))),
        }
    };
    if package.is_wheel() {
        return Err(cannot_be(&of("the release"), WHEEL, "it is no package of a machine or a container"));
    }
    only("the version", &package.version, ".+-~:")?;
    only("the architecture", &package.architecture, "-")?;
    fits(&of("the release"), &package.release, &SUITE)?;
    let path = &package.path;
    let plain = path.bytes().all(|b| b.is_ascii_graphic() && !b"\\?#".contains(&b));
    if path.is_empty() || path.starts_with('/') || !plain || path.split('/').any(|part| part == "..") {
        return Err(cannot_be(&of("the path"), path, "it is not a path below the mirror or the profile"));
    }
    Ok(())
}

fn fits(what: &str, text: &str, form: &Form) -> Result<(), String> {
    let cause = if text.len() > form.longest { Err("it is too long".to_owned()) } else { (form.check)(text) };
    cause.map_err(|cause| cannot_be(what, text, &cause))
}

fn cannot_be(what: &str, text: &str, cause: &str) -> String {
    let short: String = text.chars().take(60).collect();
    format!("{what} cannot be `{}`: {cause}", short.escape_debug())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Digest;
    use serde_json::{Value, json};

    fn good() -> Value {
        let sha256 = Digest::of(b"x").to_string();
        let package = |name: &str, version: &str, release: &str, path: &str| {
            json!({ "name": name, "version": version, "architecture": "amd64", "release": release, "path": path,
                    "size": 1, "sha256": sha256 })
        };
        json!({
            "schema": 1, "recipe": sha256,
            "release": { "trixie": { "suite": "trixie", "date": "2026-01-01T00:00:00Z", "sha256": sha256,
                                     "valid_until": "2026-02-01T00:00:00Z", "components": ["main", "non-free"] } },
            "image": [
                package("libstdc++6", "1:2.3+b1~rc-4", "trixie-updates", "pool/main/g/gcc/libstdc++6_2.3%2bb1_amd64.deb"),
                package("own", "1", "local", "debs/./own~1_amd64.deb"),
            ],
            "container": { "app": [
                package("layer-01", "f00dfeed0123", "oci", &format!("[::1]:5000/team/app/blobs/sha256:{sha256}")),
            ] },
            "wheels": { "app": [
                { "name": "markup-safe", "version": "1!3.0", "architecture": "amd64", "release": "wheel", "size": 1,
                  "path": "markup-safe/Markup_Safe-1!3.0-cp313-cp313-linux_x86_64.whl", "sha256": sha256 },
                { "name": "q", "version": "2.0+x.1", "architecture": "all", "release": "wheel", "size": 1,
                  "path": "https://files.example/a/q-2.0%2Bx.1-py3-none-any.whl", "sha256": sha256 },
            ] },
            "tools": [],
        })
    }

    #[test]
    fn a_lock_is_admitted_and_keeps_its_digest() {
        let lock: Lock = serde_json::from_value(good()).expect("a lock");
        let again: Lock = serde_json::from_value(serde_json::to_value(&lock).expect("JSON")).expect("a lock");
        assert_eq!((&lock, lock.digest()), (&again, again.digest()));
    }

    #[test]
    fn hostile_values_are_refused() {
        let with = |path: &str, value: Value| {
            let mut json = good();
            *json.pointer_mut(path).unwrap_or_else(|| panic!("{path} is there")) = value;
            serde_json::from_value::<Lock>(json).expect_err(path).to_string()
        };
        let renamed = |table: &str, new: &str| {
            let mut json = good();
            let map = json[table].as_object_mut().expect("a table");
            let value = map.values().next().expect("one").clone();
            map.insert(new.to_owned(), value);
            serde_json::from_value::<Lock>(json).expect_err(new).to_string()
        };
        let all = [
            with("/schema", json!(2)),
            renamed("release", "../trixie"),
            renamed("container", "app;id"),
            with("/release/trixie/suite", json!("trixie/../..")),
            with("/release/trixie/date", json!("2026\nx")),
            with("/release/trixie/components/0", json!("main contrib")),
            with("/image/0/name", json!("x; rm -rf /")),
            with("/image/0/version", json!("$(id)")),
            with("/image/0/architecture", json!("../amd64")),
            with("/image/0/release", json!("a b")),
            with("/image/0/path", json!("pool/../../etc/shadow")),
            with("/image/1/path", json!("/etc/shadow")),
            with("/image/1/path", json!("a b\n")),
            with("/container/app/0/path", json!("")),
            with("/container/app/0/name", json!("../layer")),
            with("/container/app/0/release", json!("wheel")),
            renamed("wheels", "app;id"),
            with("/wheels/app/0/path", json!("../Markup_Safe-1!3.0-cp313-cp313-linux_x86_64.whl")),
            with("/wheels/app/0/path", json!("markup-safe/../../etc/shadow")),
            with("/wheels/app/0/path", json!("markup-safe/Markup_Safe-3.1-cp313-cp313-linux_x86_64.whl")),
            with("/wheels/app/0/path", json!("markup-safe/Markup_Safe-1!3.0-py3-none-any.whl")),
            with("/wheels/app/0/path", json!("markup-safe/markup_safe-3.0.tar.gz")),
            with("/wheels/app/0/name", json!("markup safe")),
            with("/wheels/app/0/version", json!("$(id)")),
            with("/wheels/app/0/release", json!("trixie")),
            with("/wheels/app/1/path", json!("http://files.example/a/q-2.0%2Bx.1-py3-none-any.whl")),
            with("/wheels/app/1/path", json!("https://me:pw@files.example/q-2.0%2Bx.1-py3-none-any.whl")),
        ];
        insta::assert_snapshot!("hostile", all.join("\n"));
    }
}
