//! What a lock from a file may say: names that end in files, URLs and errors have the forms of a profile.

use super::{Lock, LockedPackage, Release};
use crate::profile::Form;
use crate::profile::forms::{EXTRA_COMPONENT, EXTRA_SUITE, NAME, PACKAGE_NAME, SUITE};
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
    lock.container.keys().try_for_each(|name| fits("the name of a container", name, &NAME))?;
    let lists = std::iter::once(&lock.image).chain(lock.container.values()).chain([&lock.tools]);
    lists.flatten().try_for_each(admit_package)
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
        ];
        insta::assert_snapshot!("hostile", all.join("\n"));
    }
}
