//! update-ca-certificates(8): links to the trusted certificates and the bundle of all of them. The hash links are made
//! by the tree's own `openssl rehash`, one process instead of a thousand.

use super::{Outcome, failed};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

struct CertificateOptions {
    conf: String,
    certs: String,
    local: String,
    bundle: String,
    directory: String,
    hooks: String,
    verbose: bool,
    fresh: bool,
    default: bool,
}

struct Work {
    settings: CertificateOptions,
    bundle: Vec<u8>,
    added: String,
    removed: String,
}

/// Does what the original does; returns its exit status.
pub fn main(args: &[String]) -> i32 {
    let mut s = CertificateOptions {
        conf: "/etc/ca-certificates.conf".into(),
        certs: "/usr/share/ca-certificates".into(),
        local: "/usr/local/share/ca-certificates".into(),
        bundle: "ca-certificates.crt".into(),
        directory: "/etc/ssl/certs".into(),
        hooks: "/etc/ca-certificates/update.d".into(),
        verbose: false,
        fresh: false,
        default: false,
    };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut value = || args.next().cloned().unwrap_or_default();
        match arg.as_str() {
            "--verbose" | "-v" => s.verbose = true,
            "--fresh" | "-f" => s.fresh = true,
            "--default" | "-d" => (s.default, s.fresh) = (true, true),
            "--certsconf" => s.conf = value(),
            "--certsdir" => s.certs = value(),
            "--localcertsdir" => s.local = value(),
            "--certbundle" => s.bundle = value(),
            "--etccertsdir" => s.directory = value(),
            "--hooksdir" => s.hooks = value(),
            "--sysroot" => {
                let root = value();
                for path in [&mut s.conf, &mut s.certs, &mut s.local, &mut s.directory, &mut s.hooks] {
                    *path = format!("{root}/{path}");
                }
            }
            _ => {
                println!("update-ca-certificates: [--verbose] [--fresh]");
                return 0;
            }
        }
    }
    let mut work = Work { settings: s, bundle: Vec::new(), added: String::new(), removed: String::new() };
    match work.run() {
        Ok(()) => 0,
        Err(why) => {
            eprintln!("update-ca-certificates: {why}");
            1
        }
    }
}

impl Work {
    fn run(&mut self) -> Outcome<()> {
        let directory = self.settings.directory.clone();
        std::env::set_current_dir(&directory).map_err(failed("cannot enter", &directory))?;
        let conf = fs::read_to_string(&self.settings.conf).unwrap_or_default();
        if self.settings.fresh || conf.is_empty() {
            println!("Clearing symlinks in {directory}...");
            let ours = |to: &Path| {
                let to = to.to_string_lossy();
                to.starts_with(&self.settings.certs) || to.starts_with(&self.settings.local)
            };
            remove_links(Path::new("."), &|link| fs::read_link(link).is_ok_and(|to| ours(&to)) || !link.is_file())?;
        }
        println!("Updating certificates in {directory}...");
        if self.settings.default {
            for path in certificates(&self.settings.certs) {
                self.add(&path)?;
            }
        }
        let lines = || conf.lines().map(str::trim).filter(|l| !l.is_empty());
        for name in lines().filter_map(|l| l.strip_prefix('!')) {
            self.remove(name);
        }
        for name in lines().filter(|l| !l.starts_with(['#', '!'])) {
            let path = format!("{}/{name}", self.settings.certs);
            if Path::new(&path).is_file() {
                self.add(&path)?;
            } else {
                eprintln!("W: {path} not found, but listed in {}.", self.settings.conf);
            }
        }
        for path in certificates(&self.settings.local) {
            self.add(&path)?;
        }
        if !self.added.is_empty() || !self.removed.is_empty() {
            remove_links(Path::new(&directory), &|link| !link.exists())?;
            let mut rehash = Command::new("openssl");
            rehash.arg("rehash");
            match self.settings.verbose {
                true => rehash.arg("-v"),
                false => rehash.stdout(Stdio::null()),
            };
            if !rehash.arg(".").status().is_ok_and(|s| s.success()) {
                return Err("openssl rehash failed".into());
            }
        }
        if !self.bundle.is_empty() {
            let bundle = &self.settings.bundle;
            let new = format!("{directory}/{bundle}.new");
            diorite_host::file::write_scratch(&new, &self.bundle)
                .and_then(|()| fs::set_permissions(&new, fs::Permissions::from_mode(0o644)))
                .and_then(|()| diorite_host::file::rename_scratch(&new, bundle))
                .map_err(failed("cannot write", bundle))?;
        }
        println!("{} added, {} removed; done.", self.added.lines().count(), self.removed.lines().count());
        self.hooks();
        Ok(())
    }

    /// Links a certificate and appends it to the bundle, with a newline at its end.
    fn add(&mut self, certificate: &str) -> Outcome<()> {
        let name = name(certificate).replace([' ', ','], "_").replace(['(', ')'], "=");
        let link = format!("{}/{name}.pem", self.settings.directory);
        let there = Path::new(&link).exists() && fs::read_link(&link).is_ok_and(|to| to == Path::new(certificate));
        if !there {
            let _ = fs::remove_file(&link);
            symlink(certificate, &link).map_err(failed("cannot link", &link))?;
            self.added.push_str(&format!("+{link}\n"));
        }
        let bytes = fs::read(certificate).map_err(failed("cannot read", certificate))?;
        self.bundle.extend_from_slice(&bytes);
        if bytes.last().is_some_and(|&b| b != b'\n') {
            self.bundle.push(b'\n');
        }
        Ok(())
    }

    fn remove(&mut self, certificate: &str) {
        let link = format!("{}/{}.pem", self.settings.directory, name(certificate));
        if Path::new(&link).is_symlink() && fs::remove_file(&link).is_ok() {
            self.removed.push_str(&format!("-{link}\n"));
        }
    }

    /// Programs that want to know what changed: each reads the list (run-parts(8) decides which names count).
    fn hooks(&self) {
        if !Path::new(&self.settings.hooks).is_dir() {
            return;
        }
        println!("Running hooks in {}...", self.settings.hooks);
        let list = Command::new("run-parts").args(["--test", "--", &self.settings.hooks]).output();
        let list = list.map(|o| String::from_utf8_lossy(&o.stdout).into_owned()).unwrap_or_default();
        for hook in list.lines() {
            let run = Command::new(hook).stdin(Stdio::piped()).spawn().and_then(|mut child| {
                if let Some(mut stdin) = child.stdin.take() {
                    // A hook may end without reading.
                    let _ =
                        stdin.write_all(self.added.as_bytes()).and_then(|()| stdin.write_all(self.removed.as_bytes()));
                }
                child.wait()
            });
            if !run.as_ref().is_ok_and(|s| s.success()) {
                println!("E: {hook} failed: {run:?}.");
            }
        }
        println!("done.");
    }
}

fn name(certificate: &str) -> &str {
    let name = certificate.rsplit('/').next().unwrap_or(certificate);
    name.strip_suffix(".crt").filter(|n| !n.is_empty()).unwrap_or(name)
}

/// All `*.crt` below a directory, links followed, in bytewise order.
fn certificates(directory: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut directories = vec![PathBuf::from(directory)];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() && directories.len() < 10_000 {
                directories.push(path);
            } else if path.is_file() && path.as_os_str().as_encoded_bytes().ends_with(b".crt") {
                found.push(path.to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    found
}

/// Removes the symbolic links below a directory for which `which` says so.
fn remove_links(directory: &Path, which: &dyn Fn(&Path) -> bool) -> Outcome<()> {
    let list = fs::read_dir(directory).map_err(failed("cannot list", &directory.display().to_string()))?;
    let mut entries: Vec<_> = list.flatten().collect();
    entries.sort_by_key(|e| e.file_name());
    for entry in entries {
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_symlink() && which(&entry.path()) {
            fs::remove_file(entry.path()).map_err(failed("cannot remove", &entry.path().display().to_string()))?;
        } else if kind.is_dir() {
            remove_links(&entry.path(), which)?;
        }
    }
    Ok(())
}
