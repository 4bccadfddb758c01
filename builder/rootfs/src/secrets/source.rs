//! Who brought a file that holds a secret, and what its reader can do about it.

use diorite_model::Error;

/// Who brought a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileSource {
    /// A file of an overlay; its path in the project.
    Overlay(String),
    /// An overlay's `configure` program; its path in the project.
    Configure(String),
    /// Generated from the profile.
    Profile,
    /// A package shipped it and a script changed it since.
    Changed(String),
    /// A package's script; the packages whose scripts name it.
    Script(Vec<String>),
    /// A layer of a container's image.
    Layer {
        /// The container.
        container: String,
        /// Path inside it.
        path: String,
    },
}

/// What to do about a secret.
pub(super) enum Advice<'a> {
    /// It is in a file of this source.
    File(&'a FileSource),
    /// An account's.
    Account,
    /// A machine's own.
    Identity,
    /// In bytes that are no file.
    Nothing,
}

pub(super) fn secret(path: &[u8], what: &str, advice: Advice) -> Error {
    let error = Error::input(format!("{what} is in the image")).at(format!("/{}", String::from_utf8_lossy(path)));
    let credential = "secrets reach a machine as credentials, systemd.system-credentials(7)";
    let away = "remove it with the `configure` program of an overlay, and let the machine make its own when it first \
                starts: a unit with `ConditionPathExists=!` of it, on state";
    match advice {
        Advice::Account => error.hint(
            "lock the account with the `configure` program of an overlay: `usermod --password '!' NAME`, for a group \
             `gpasswd --remove-password NAME`",
        ),
        Advice::Identity => {
            error.hint("every machine makes its own; remove it with the `configure` program of an overlay")
        }
        Advice::Nothing => error.hint(format!("{credential}; find out who wrote it here, and take it out")),
        Advice::File(FileSource::Overlay(place)) => error.because(format!("{place} brings it")).hint(format!(
            "{credential}; take the file out, or, where everybody may know it, declare it `public` in overlay.toml"
        )),
        Advice::File(FileSource::Configure(place)) => error.because(format!("{place} made it")).hint(format!(
            "{credential}; let the program leave it out, or bring a file that everybody may know by the overlay itself, \
             declared `public`"
        )),
        Advice::File(FileSource::Profile) => error.because("it is in a file that the profile says").hint(credential),
        Advice::File(FileSource::Changed(package)) => error
            .because(format!("package `{package}` ships this file, and a script put the secret into it"))
            .hint(away),
        Advice::File(FileSource::Script(packages)) => error
            .because(match packages.as_slice() {
                [] => "no package ships it: a package's script made it".to_owned(),
                some => format!("no package ships it, and it is named by a script of `{}`", some.join("`, `")),
            })
            .hint(away),
        Advice::File(FileSource::Layer { container, path }) => {
            error.because(format!("the image of container `{container}` carries it")).hint(format!(
                "use an image without it; {credential}, and a container gets them by its `secrets`. Where everybody may know it, \
                 write `public = [\"{path}\"]` in `[containers.{container}]`"
            ))
        }
    }
}
