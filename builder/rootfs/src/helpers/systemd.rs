//! deb-systemd-helper(1): the state files and links of units that packages enable, mask and forget.
//!
//! The original's quirks are kept, because the state files outlive us and it will read them again: all values of one
//! `Alias=` line make one link name, and a quoted `WantedBy=` value gets no `.wants`.

use super::{Outcome, failed};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

struct UnitHelper {
    /// DPKG_ROOT, usually empty.
    root: String,
    /// `system` or `user`.
    instance: &'static str,
    quiet: bool,
    purge: bool,
    changed: bool,
}

/// A link to be made at `at` that points to `to`; both without DPKG_ROOT.
struct UnitLink {
    at: String,
    to: String,
}

/// Does what the original does; returns its exit status.
pub fn main(args: &[String]) -> i32 {
    let env = |name: &str| std::env::var(name).unwrap_or_default();
    let mut helper = UnitHelper {
        root: env("DPKG_ROOT"),
        instance: "system",
        quiet: false,
        purge: env("_DEB_SYSTEMD_HELPER_PURGE") == "1",
        changed: false,
    };
    let mut words = Vec::new();
    let mut options = true;
    for arg in args {
        match arg.as_str() {
            "--" if options => options = false,
            "--quiet" if options => helper.quiet = true,
            "--user" if options => helper.instance = "user",
            "--system" if options => helper.instance = "system",
            other if options && other.starts_with('-') && other.len() > 1 => eprintln!("Unknown option: {other}"),
            other => words.push(other),
        }
    }
    let Some((action, units)) = words.split_first() else { return 0 };
    if env("DPKG_MAINTSCRIPT_PACKAGE").is_empty() {
        eprintln!("deb-systemd-helper was not called from dpkg. Exiting.");
        return 1;
    }
    helper.run(action, units).unwrap_or_else(|why| {
        eprintln!("deb-systemd-helper: error: {why}");
        1
    })
}

impl UnitHelper {
    fn run(&mut self, action: &str, units: &[&str]) -> Outcome<i32> {
        let action = match action {
            "purge" => {
                self.purge = true;
                "disable"
            }
            other => other,
        };
        let mut status = i32::from(matches!(action, "is-enabled" | "was-enabled" | "debian-installed"));
        for unit in units {
            let path = self.find(unit);
            let yes = match action {
                "is-enabled" => self.said(self.links(&path, &mut Vec::new())?.iter().all(|l| self.is_link(&l.at))),
                "was-enabled" => self.said(self.recorded(unit).iter().all(|at| self.is_link(at))),
                "debian-installed" => self.is_file(&self.state(unit)),
                _ => false,
            };
            if yes {
                status = 0;
            }
            match action {
                "update-state" => {
                    let links = self.links(&path, &mut Vec::new())?;
                    self.record(unit, links.iter().map(|l| l.at.as_str()).collect())?;
                }
                "reenable" => {
                    self.remove_links(&path)?;
                    self.make_links(unit, &path, true)?;
                }
                "disable" => {
                    self.remove_links(&path)?;
                    self.prune(&self.directory("system", "enabled"));
                    self.prune(&self.directory("user", "enabled"));
                    for instance in ["system", "user"] {
                        for directory in self.directories_in(&format!("/etc/systemd/{instance}")) {
                            self.prune(&directory);
                        }
                    }
                }
                "enable" => self.enable(unit, &path)?,
                "mask" => self.mask(&path)?,
                "unmask" => {
                    self.unmask(&path)?;
                    self.prune(&self.directory("system", "masked"));
                    self.prune(&self.directory("user", "masked"));
                }
                _ => {}
            }
        }
        if self.root.is_empty()
            && self.changed
            && self.instance == "system"
            && Path::new("/run/systemd/system").is_dir()
        {
            let _ = Command::new("systemctl").arg("daemon-reload").status();
        }
        Ok(status)
    }

    fn said(&self, enabled: bool) -> bool {
        if !self.quiet {
            eprintln!("{}", if enabled { "enabled" } else { "disabled" });
        }
        enabled
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.root)
    }
    fn is_link(&self, path: &str) -> bool {
        Path::new(&self.at(path)).is_symlink()
    }
    fn is_file(&self, path: &str) -> bool {
        Path::new(&self.at(path)).is_file()
    }
    fn exists(&self, path: &str) -> bool {
        Path::new(&self.at(path)).exists()
    }
    /// The directory of state files.
    fn directory(&self, instance: &str, what: &str) -> String {
        let user = if instance == "user" { "user-" } else { "" };
        format!("/var/lib/systemd/deb-systemd-{user}helper-{what}")
    }
    /// Where a link below /etc/systemd has its state file.
    fn mirrored(&self, link: &str, what: &str) -> String {
        match link.strip_prefix(&format!("/etc/systemd/{}/", self.instance)) {
            Some(rest) => format!("{}/{rest}", self.directory(self.instance, what)),
            None => link.to_owned(),
        }
    }
    /// The state file of a unit: one line per link it ever had.
    fn state(&self, unit: &str) -> String {
        format!("{}/{}.dsh-also", self.directory(self.instance, "enabled"), base(unit))
    }
    fn recorded(&self, unit: &str) -> Vec<String> {
        let text = fs::read_to_string(self.at(&self.state(unit))).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
    fn record(&self, unit: &str, lines: Vec<&str>) -> Outcome<()> {
        let path = self.at(&self.state(unit));
        make_parents(&path)?;
        let temporary = format!("{path}.tmp");
        let text: String = lines.iter().map(|l| format!("{l}\n")).collect();
        let open = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o644).open(&temporary);
        open.and_then(|mut f| f.write_all(text.as_bytes()))
            .and_then(|()| diorite_host::file::rename_scratch(&temporary, &path))
            .map_err(failed("unable to write", &path))
    }

    fn find(&self, unit: &str) -> String {
        let places = ["etc/systemd", "lib/systemd", "usr/lib/systemd"];
        let path = places.iter().map(|place| format!("/{place}/{}/{unit}", self.instance)).find(|p| self.is_file(p));
        path.unwrap_or_else(|| unit.to_owned())
    }

    /// The links that a unit's `[Install]` section asks for, with those of the units it names in `Also=`.
    fn links(&self, path: &str, visited: &mut Vec<String>) -> Outcome<Vec<UnitLink>> {
        let bytes = fs::read(self.at(path)).map_err(failed("unable to read", &self.at(path)))?;
        let text = String::from_utf8_lossy(&bytes);
        let unit = base(path);
        let (mut links, mut directories, mut wanted) = (Vec::new(), Vec::new(), unit.to_owned());
        for line in text.lines() {
            let Some((key, value)) = line.trim_start().split_once('=').filter(|(_, v)| !v.is_empty()) else { continue };
            match key.to_ascii_lowercase().as_str() {
                "wantedby" | "requiredby" => {
                    for word in words(value) {
                        let suffix = match (unquoted(word) == word, key) {
                            (true, "WantedBy") => ".wants",
                            (true, "RequiredBy") => ".requires",
                            _ => "",
                        };
                        directories.push(format!("/etc/systemd/{}/{}{suffix}/", self.instance, unquoted(word)));
                    }
                }
                "also" => {
                    let mut seen = visited.clone();
                    for word in words(value).map(unquoted) {
                        if word != unit && !seen.iter().any(|v| v == word) {
                            seen.push(word.to_owned());
                            links.extend(self.links(&self.find(word), &mut seen.clone())?);
                        }
                    }
                    *visited = seen;
                }
                "alias" => {
                    for word in words(value).filter(|w| unquoted(w) != unit) {
                        let name = if unquoted(word) == word { value } else { &word[..1] };
                        let at = format!("/etc/systemd/{}/{name}", self.instance);
                        links.push(UnitLink { at, to: path.to_owned() });
                    }
                }
                "defaultinstance" => {
                    let instance = unquoted(value.trim());
                    if let Some((name, ending)) = unit.split_once("@.")
                        && !instance.is_empty()
                    {
                        wanted = format!("{name}@{instance}.{ending}");
                    }
                }
                _ => {}
            }
        }
        links
            .extend(directories.into_iter().map(|directory| UnitLink { at: directory + &wanted, to: path.to_owned() }));
        Ok(links)
    }

    fn enable(&mut self, unit: &str, path: &str) -> Outcome<()> {
        if !["/bin/systemctl", "/usr/bin/systemctl"].iter().any(|p| self.is_file(p)) {
            return self.make_links(unit, path, true);
        }
        if self.is_file(&self.state(unit)) {
            let any = self.links(path, &mut Vec::new())?.iter().any(|l| self.is_link(&l.at));
            return self.make_links(unit, path, any);
        }
        // Presets decide, by the tree's own systemctl.
        let root = if self.root.is_empty() { "/" } else { &self.root };
        let scope = if self.instance == "user" { "--global" } else { "--system" };
        let status = Command::new("systemctl")
            .args([&format!("--root={root}"), scope, "--preset-mode=enable-only", "preset", unit])
            .status();
        if !status.is_ok_and(|s| s.success()) {
            return Err(format!("systemctl preset failed on {unit}"));
        }
        self.make_links(unit, path, false)
    }

    fn make_links(&mut self, unit: &str, path: &str, create: bool) -> Outcome<()> {
        let links = self.links(path, &mut Vec::new())?;
        let mut lines = self.recorded(unit);
        for link in &links {
            if !lines.contains(&link.at) {
                lines.push(link.at.clone());
            }
        }
        if !links.is_empty() {
            self.record(unit, lines.iter().map(String::as_str).collect())?;
        }
        for link in links {
            let mark = self.mirrored(&link.at, "enabled");
            if self.exists(&mark) {
                continue;
            }
            if create && !self.is_link(&link.at) {
                let at = self.at(&link.at);
                make_parents(&at)?;
                symlink(&link.to, &at).map_err(failed("unable to link", &at))?;
                self.changed = true;
            }
            self.touch(&mark)?;
        }
        Ok(())
    }

    fn touch(&self, path: &str) -> Outcome<()> {
        let path = self.at(path);
        make_parents(&path)?;
        let open = fs::OpenOptions::new().append(true).create(true).open(&path);
        open.map(drop).map_err(failed("Failed to create/touch", &path))
    }

    fn remove_links(&mut self, path: &str) -> Outcome<()> {
        let entries = self.recorded(path);
        if self.purge {
            let _ = fs::remove_file(self.at(&self.state(path)));
        }
        for link in entries {
            let is_link = self.is_link(&link);
            if self.purge || is_link {
                let _ = fs::remove_file(self.at(&self.mirrored(&link, "enabled")));
            }
            if is_link {
                if let Err(e) = fs::remove_file(self.at(&link)) {
                    eprintln!("deb-systemd-helper: unable to remove '{link}': {e}");
                }
                self.changed = true;
            }
        }
        let Ok(bytes) = fs::read(self.at(path)) else { return Ok(()) };
        for line in String::from_utf8_lossy(&bytes).lines() {
            if let Some((key, value)) = line.trim_start().split_once('=')
                && key.eq_ignore_ascii_case("Also")
                && !value.is_empty()
            {
                self.remove_links(&self.find(value))?;
            }
        }
        Ok(())
    }

    fn mask(&mut self, path: &str) -> Outcome<()> {
        let link = format!("/etc/systemd/{}/{}", self.instance, base(path));
        if self.exists(&link) {
            return Ok(());
        }
        let at = self.at(&link);
        make_parents(&at)?;
        let _ = fs::remove_file(&at);
        symlink("/dev/null", &at).map_err(failed("unable to link", &at))?;
        self.changed = true;
        self.touch(&self.mirrored(&link, "masked"))
    }

    fn unmask(&mut self, path: &str) -> Outcome<()> {
        let link = format!("/etc/systemd/{}/{}", self.instance, base(path));
        let mark = self.mirrored(&link, "masked");
        let masked = fs::read_link(self.at(&link)).is_ok_and(|to| to == Path::new("/dev/null"));
        if !self.exists(&link) || !masked || !self.exists(&mark) {
            return Ok(());
        }
        fs::remove_file(self.at(&link)).map_err(failed("unable to remove", &link))?;
        self.changed = true;
        let _ = fs::remove_file(self.at(&mark));
        Ok(())
    }

    /// Real directories that a shell's `*` would find.
    fn directories_in(&self, path: &str) -> Vec<String> {
        let Ok(list) = fs::read_dir(self.at(path)) else { return Vec::new() };
        let names = list.flatten().filter(|e| e.file_type().is_ok_and(|t| t.is_dir()));
        let names = names.filter_map(|e| e.file_name().into_string().ok()).filter(|n| !n.starts_with('.'));
        names.map(|name| format!("{path}/{name}")).collect()
    }

    /// Removes empty directories, the innermost first.
    fn prune(&self, path: &str) {
        for directory in self.directories_in(path) {
            self.prune(&directory);
        }
        let _ = fs::remove_dir(self.at(path));
    }
}

fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// As perl splits: what begins with a space has an empty first word.
fn words(value: &str) -> impl Iterator<Item = &str> {
    let empty = value.starts_with(char::is_whitespace).then_some("");
    empty.into_iter().chain(value.split_whitespace())
}

fn unquoted(word: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some(inner) = word.strip_prefix(quote).and_then(|w| w.strip_suffix(quote)) {
            return inner;
        }
    }
    word
}

fn make_parents(path: &str) -> Outcome<()> {
    match Path::new(path).parent() {
        Some(parent) => fs::create_dir_all(parent).map_err(failed("unable to make the directory of", path)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
