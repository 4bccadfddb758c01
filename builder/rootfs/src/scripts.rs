//! Debian's maintainer scripts, run in the fence: preinst one by one, everything else by one `dpkg --configure -a`.

use crate::database::{self, ADMIN};
use crate::extract::Root;
use crate::staging::StagedPackage;
use diorite_host::progress::Bar;
use diorite_host::sandbox::Sandbox;
use diorite_model::{Error, Result};
use std::path::{Path, PathBuf};

/// What scripts see, whoever builds and wherever.
pub struct ScriptEnvironment<'a> {
    /// The tree.
    pub root: &'a Path,
    /// SOURCE_DATE_EPOCH: honoured by shadow, systemd-sysusers, py_compile and others.
    pub epoch: u64,
    /// Version of dpkg in the tree; for a package's scripts alone.
    pub dpkg: &'a str,
}

impl ScriptEnvironment<'_> {
    pub(crate) fn fence(&self) -> Sandbox {
        Sandbox::new(self.root)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .env("DEBCONF_NONINTERACTIVE_SEEN", "true")
            .env("LC_ALL", "C")
            .env("LANG", "C")
            .env("TZ", "UTC")
            .env("HOME", "/root")
            .env("SOURCE_DATE_EPOCH", self.epoch.to_string())
    }

    /// Runs a package's preinst as `dpkg --unpack` does on a fresh install. All control members stand beside it with
    /// their modes: debconf reads `control`, some scripts run `config`.
    pub fn preinst(&self, root: &mut Root, staged: &StagedPackage) -> Result<()> {
        if !staged.deb.members.contains_key("preinst") {
            return Ok(());
        }
        let directory = format!("{ADMIN}/tmp.ci");
        root.directories(directory.as_bytes())?;
        root.write(format!("{directory}/control").as_bytes(), staged.deb.control.text.as_bytes(), 0o644)?;
        for (name, member) in &staged.deb.members {
            root.write(format!("{directory}/{name}").as_bytes(), &member.bytes, member.mode)?;
        }
        let name = staged.deb.name();
        let output = self
            .fence()
            .env("DPKG_MAINTSCRIPT_PACKAGE", name)
            .env("DPKG_MAINTSCRIPT_PACKAGE_REFCOUNT", "1")
            .env("DPKG_MAINTSCRIPT_ARCH", staged.deb.architecture())
            .env("DPKG_MAINTSCRIPT_NAME", "preinst")
            .env("DPKG_MAINTSCRIPT_DEBUG", "0")
            .env("DPKG_ADMINDIR", format!("/{ADMIN}"))
            .env("DPKG_ROOT", "")
            .env("DPKG_FORCE", "security-mac,downgrade")
            .env("DPKG_RUNNING_VERSION", self.dpkg)
            .run(&[format!("/{directory}/preinst").as_str(), "install"], "/")?;
        root.forget();
        root.remove_flat(directory.as_bytes())?;
        if !output.status.success() {
            return Err(Error::input(format!("the preinst script of package `{name}` failed"))
                .detail(tail(&output.text(), 20))
                .because(format!("it ended with {}", output.status)));
        }
        Ok(())
    }

    /// Configures everything that is unpacked. `binds`: which host file over which path of the tree.
    pub fn configure(&self, root: &mut Root, binds: &[(PathBuf, String)], bar: &Bar) -> Result<()> {
        let fence = binds.iter().fold(self.fence(), |fence, (host, inside)| fence.bind(host, inside));
        let output =
            fence.run_watched(&["/usr/bin/dpkg", "--force-unsafe-io", "--configure", "-a"], "/", &mut |line| {
                if let Some(package) = line.strip_prefix("Setting up ") {
                    bar.set_message(package.split(' ').next().unwrap_or_default());
                    bar.inc(1);
                }
            })?;
        let log = output.text();
        root.forget();
        let unfinished = database::not_installed(root)?;
        if output.status.success() && unfinished.is_empty() {
            return Ok(());
        }
        Err(unconfigured(&log, &output.status.to_string(), &unfinished))
    }
}

/// dpkg goes on after a failure: the first one is the cause, what depends on it follows.
fn unconfigured(log: &str, status: &str, unfinished: &[(String, String)]) -> Error {
    let failed = log.lines().find_map(|l| l.strip_prefix("dpkg: error processing package "));
    let package = failed.and_then(|l| l.split([' ', ':']).next()).map(str::to_owned);
    let package = package.or_else(|| unfinished.first().map(|(name, _)| name.clone())).unwrap_or_default();
    // dpkg's words for what it ran: `installed NAME package post-installation script subprocess returned error …`.
    let whose = format!("installed {package} package ");
    let script = log.lines().find_map(|l| l.trim_start().strip_prefix(&whose)?.split_once(" script subprocess "));
    let what = match script.map(|(script, _)| script) {
        Some("post-installation") => format!("the postinst script of package `{package}` failed"),
        _ => format!("package `{package}` could not be configured"),
    };
    let states: Vec<_> = unfinished.iter().take(8).map(|(name, state)| format!("{name} ({state})")).collect();
    Error::input(what)
        .detail(around(log, &package))
        .because(format!("dpkg ended with {status}; not installed: {}", states.join(", ")))
        .hint("the lines above are its script's output")
}

/// The part of dpkg's log that belongs to a package: from `Setting up` to its error.
fn around(log: &str, package: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    let error = lines.iter().position(|l| l.starts_with(&format!("dpkg: error processing package {package}")));
    let end = error.map_or(lines.len(), |at| (at + 2).min(lines.len()));
    let setting_up = format!("Setting up {package} ");
    let start = lines[..end].iter().rposition(|l| l.starts_with(&setting_up)).unwrap_or(0);
    tail(&lines[start..end].join("\n"), 20)
}

pub(crate) fn tail(log: &str, lines: usize) -> String {
    let all: Vec<&str> = log.lines().filter(|l| !l.trim().is_empty()).collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_is_named_with_its_own_words() {
        let log = "Setting up libc6:amd64 (2.41) ...\nSetting up bad (1.0) ...\nno such colour: blue\n\
            dpkg: error processing package bad (--configure):\n installed bad package post-installation script \
            subprocess returned error exit status 3\ndpkg: dependency problems prevent configuration of next:\n\
            dpkg: error processing package next (--configure):\n dependency problems - leaving unconfigured\n";
        let unfinished = [
            ("bad".to_owned(), "install ok half-configured".to_owned()),
            ("next".into(), "install ok unpacked".into()),
        ];
        let error = unconfigured(log, "exit code 1", &unfinished).to_string();
        assert_eq!(
            error,
            "error: the postinst script of package `bad` failed\n  Setting up bad (1.0) ...\n  no such colour: blue\n  \
             dpkg: error processing package bad (--configure):\n   installed bad package post-installation script \
             subprocess returned error exit status 3\n  because dpkg ended with exit code 1; not installed: \
             bad (install ok half-configured), next (install ok unpacked)\n  help: the lines above are its script's output"
        );
    }
}
