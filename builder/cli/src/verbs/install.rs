//! `install`: what an installer (`build --format installer`) starts. Its own partition and the machine's disks go in; one of
//! the disks holds the image.

use crate::context::Context;
use crate::out;
use diorite_host::device::BlockDevice;
use diorite_host::disks::{self, DiskInfo};
use diorite_host::progress::{BarUnit, bytes};
use diorite_image::format::installer::{self, InstallerHead};
use diorite_image::write;
use diorite_model::recipe::InstallerDisk;
use diorite_model::{Error, Exit, Result};
use std::io::{self, BufRead as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const SYS: &str = "/sys";
/// How long a USB stick may take until its partitions are known.
const PATIENCE: Duration = Duration::from_secs(60);

/// Installs, and asks again after everything that goes wrong: there is nothing else on this machine yet.
pub fn run(context: &Context) -> Result<Exit> {
    let (head, payload, own) = payload()?;
    loop {
        match install(&head, &payload, &own, context) {
            Ok(Some(disk)) => {
                out::line(format!("{} {} is on {}.", head.name, head.version, disk.display()))?;
                if head.rule.is_none() {
                    ask("Remove the installer, then press Enter: the machine restarts. ")?;
                }
                return Ok(Exit::Done);
            }
            Ok(None) => {}
            Err(error) => {
                out::line(error.to_string())?;
                ask("Press Enter to look at the disks again. ")?;
            }
        }
    }
}

/// What the installer carries: its head, the partition, and the disk it is on.
fn payload() -> Result<(InstallerHead, PathBuf, String)> {
    let unreadable = |e: io::Error| Error::io("the disks of this machine cannot be listed", SYS, e);
    let end = Instant::now() + PATIENCE;
    let partition = loop {
        match disks::partition(Path::new(SYS), installer::LABEL).map_err(unreadable)? {
            Some(partition) => break partition,
            None if Instant::now() > end => {
                let error = Error::input(format!("there is no partition `{}` here", installer::LABEL));
                return Err(error.hint(
                    "`install` runs on a machine that was started from an installer: \
                    `diorite build NAME --format installer`",
                ));
            }
            None => std::thread::sleep(Duration::from_millis(200)),
        }
    };
    let path = Path::new("/dev").join(&partition.name);
    let (head, _) = installer::open(&path)?;
    Ok((head, path, partition.disk))
}

/// Once: a disk is chosen, by the rule or by a person, and written. `None`: nobody chose one.
fn install(head: &InstallerHead, payload: &Path, own: &str, context: &Context) -> Result<Option<PathBuf>> {
    let unreadable = |e: io::Error| Error::io("the disks of this machine cannot be listed", SYS, e);
    let all: Vec<DiskInfo> =
        disks::all(Path::new(SYS)).map_err(unreadable)?.into_iter().filter(|disk| disk.name != own).collect();
    let chosen = match &head.rule {
        Some(rule) => Some(by_rule(&rule.disk, &all)?),
        None => by_a_person(head, &all)?,
    };
    let Some(info) = chosen else { return Ok(None) };
    let disk = BlockDevice::open(&info.path())?;
    let there = write::contents(&disk)?;
    if !there.is_empty() {
        let said = there.join("; ");
        match &head.rule {
            Some(rule) if rule.overwrite => {}
            Some(_) => {
                let error = Error::input("the disk is not empty").at(info.path().display().to_string()).because(said);
                return Err(
                    error.hint("clear it, or build the installer with `overwrite = true` under [platform.installer]")
                );
            }
            None => {
                out::line(format!("On {} is: {said}. All of it will be lost.", info.name))?;
                if ask(&format!("Type {} to go on, or Enter to go back: ", info.name))? != info.name {
                    return Ok(None);
                }
            }
        }
    }
    let stage = context.progress.stage(format!("writing {}", info.path().display()));
    let bar = stage.bar(head.bytes * 2, BarUnit::Bytes);
    let (_, mut image) = installer::open(payload)?;
    write::write_stream(&mut image, head.bytes, head.sha256, &disk, &|count| bar.inc(count))?;
    bar.finish();
    stage.done(bytes(head.bytes));
    Ok(Some(info.path()))
}

/// The disk that the profile's rule means.
fn by_rule(rule: &InstallerDisk, all: &[DiskInfo]) -> Result<DiskInfo> {
    let found: Vec<&DiskInfo> = match rule {
        InstallerDisk::Only => all.iter().collect(),
        InstallerDisk::Serial(serial) => all.iter().filter(|disk| disk.serial == *serial).collect(),
    };
    if let [disk] = found[..] {
        return Ok(disk.clone());
    }
    let what = match rule {
        InstallerDisk::Only => format!("the profile takes the only disk, and this machine has {}", found.len()),
        InstallerDisk::Serial(serial) => {
            format!("{} disks of this machine have the serial number `{serial}`", found.len())
        }
    };
    let list: Vec<String> = all.iter().map(line).collect();
    let error = Error::input(what).hint("build the installer with another rule, or with none: then a person is asked");
    Err(if list.is_empty() { error } else { error.because(list.join("; ")) })
}

/// A disk in one line.
fn line(disk: &DiskInfo) -> String {
    let parts = [disk.name.clone(), bytes(disk.bytes), disk.model.clone(), disk.serial.clone()];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("  ")
}

/// The disk that somebody at the console chooses.
fn by_a_person(head: &InstallerHead, all: &[DiskInfo]) -> Result<Option<DiskInfo>> {
    out::line(format!(
        "\nThis installs {} {} ({}). Disks of this machine:",
        head.name,
        head.version,
        bytes(head.bytes)
    ))?;
    for (number, disk) in all.iter().enumerate() {
        out::line(format!("  {}  {}", number + 1, line(disk)))?;
    }
    if all.is_empty() {
        out::line("  none: Linux knows no driver of the controller, or the disk is not plugged in")?;
    }
    let answer = ask("Number of the disk, or Enter to look again: ")?;
    let number = answer.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
    Ok(number.and_then(|number| all.get(number)).cloned())
}

/// A line from the console, without the spaces around it.
fn ask(question: &str) -> Result<String> {
    let failed = |e: io::Error| Error::host("the console cannot be read").because(e);
    let mut out = io::stdout();
    out.write_all(question.as_bytes()).and_then(|()| out.flush()).map_err(failed)?;
    let mut answer = String::new();
    if io::stdin().lock().read_line(&mut answer).map_err(failed)? == 0 {
        return Err(Error::host("the console was closed"));
    }
    Ok(answer.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(name: &str, serial: &str) -> DiskInfo {
        DiskInfo { name: name.into(), bytes: 1 << 30, model: "Disk".into(), serial: serial.into() }
    }

    #[test]
    fn a_rule_means_one_disk_or_none() {
        let (one, two) = (disk("sda", "A1"), disk("sdb", "B2"));
        let both = [one.clone(), two.clone()];
        assert_eq!(by_rule(&InstallerDisk::Only, &both[..1]).unwrap(), one);
        assert_eq!(by_rule(&InstallerDisk::Serial("B2".into()), &both).unwrap(), two);
        let refused = |rule, all: &[DiskInfo]| by_rule(&rule, all).unwrap_err().to_string();
        assert!(refused(InstallerDisk::Only, &both).contains("this machine has 2"));
        assert!(refused(InstallerDisk::Only, &[]).contains("this machine has 0"));
        let said = refused(InstallerDisk::Serial("C3".into()), &both);
        assert!(said.contains("0 disks") && said.contains("sda  1.07 GB  Disk  A1"), "{said}");
        assert!(refused(InstallerDisk::Serial("A1".into()), &[one.clone(), one.clone()]).contains("2 disks"));
    }
}
