//! Packages → a tools tree: programs that Diorite runs itself.

use crate::control::Paragraph;
use crate::layout::{Layout, Rules};
use crate::staging::{Staging, order_of, stage};
use diorite_host::progress::Progress;
use diorite_model::recipe::FileFilter;
use diorite_model::{Error, LockedPackage, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// Unpacks a tools tree: files only, owned by whoever runs this, no scripts, no setuid. `into` is created. What is in it
/// can be asked of `var/lib/dpkg/status` and, shorter, of `versions`: one line `name version architecture sha256` each.
pub fn unpack(packages: &[(LockedPackage, PathBuf)], into: &Path, progress: &Progress) -> Result<()> {
    fs::create_dir_all(into.join("usr")).map_err(|e| Error::io("cannot make the tools tree", into, e))?;
    let staging = into.join(".staging");
    let how = Staging { latest: i64::MAX, privileged: false };
    let result = stage(&[packages], &staging, how, progress).and_then(|mut sets| {
        let staged = sets.remove(0);
        let mut layout = Layout::new(into, Rules { own_ids: true }, FileFilter::default())?;
        // Merged /usr before anything else, whether base-files is in the set or not.
        for name in ["bin", "lib", "lib64", "sbin"] {
            let to = format!("usr/{name}");
            fs::create_dir_all(into.join(&to)).map_err(|e| Error::io("cannot make the tools tree", into, e))?;
            layout.root.symlink(name.as_bytes(), to.as_bytes(), 0, None)?;
        }
        let order = order_of(&staged);
        for &i in &order.all {
            layout.lay_down(i, &staged)?;
        }
        layout.finish()?;
        let mut status = String::new();
        let mut by_name: Vec<&Paragraph> = staged.iter().map(|s| &s.deb.control).collect();
        by_name.sort_by_key(|p| p.get("Package").map(str::to_owned));
        for control in by_name {
            let (first, rest) = control.text.split_once('\n').unwrap_or((&control.text, ""));
            status.push_str(&format!("{first}\nStatus: install ok unpacked\n{rest}\n"));
        }
        let database = into.join("var/lib/dpkg");
        let failed = |e| Error::io("cannot write the tools tree's list of packages", into, e);
        fs::create_dir_all(&database).map_err(failed)?;
        diorite_host::file::write_scratch(database.join("status"), status).map_err(failed)?;
        let mut lines: Vec<String> = packages
            .iter()
            .map(|(p, _)| format!("{} {} {} {}\n", p.name, p.version, p.architecture, p.sha256))
            .collect();
        lines.sort();
        diorite_host::file::write_scratch(into.join("versions"), lines.concat()).map_err(failed)
    });
    let _ = fs::remove_dir_all(&staging);
    result
}
