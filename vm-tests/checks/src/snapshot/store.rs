//! Where snapshots lie: `OUT/.snapshots/KEY`, one for an image, and `OUT/evidence`. Each directory holds `moment.json` and the
//! files of the machine. It appears whole or not at all.

use super::record::{FAILED, FileStamp, MachineSnapshot, RUNNING, SnapshotIdentity};
use diorite_model::{Error, Result};
use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

const DESCRIPTION: &str = "moment.json";
/// Digits of the key that name a directory.
const DIGITS: usize = 16;

/// The snapshots of one image.
#[derive(Debug)]
pub(crate) struct SnapshotStore(PathBuf);

/// A snapshot that fits, and the directory it is in.
#[derive(Debug, Clone)]
pub(crate) struct StoredSnapshot {
    pub snapshot: MachineSnapshot,
    pub directory: PathBuf,
}

impl SnapshotStore {
    /// Below a directory for results.
    pub fn below(out: &Path) -> Self {
        Self(out.join(".snapshots"))
    }

    fn path(&self, identity: &SnapshotIdentity) -> PathBuf {
        self.0.join(identity.key().short(DIGITS))
    }

    /// The snapshot of these circumstances; else in words why there is none.
    pub fn find(&self, identity: &SnapshotIdentity) -> std::result::Result<StoredSnapshot, String> {
        let directory = self.path(identity);
        if !directory.exists() {
            let others = fs::read_dir(&self.0).into_iter().flatten().flatten();
            let mut why = others.filter_map(|e| identity.differs(&read(&e.path()).ok()??.identity));
            return Err(why
                .next()
                .map_or("no snapshot is kept yet".into(), |w| format!("the kept snapshot does not fit: {w}")));
        }
        let damaged = |what: String| format!("the kept snapshot is damaged: {what}");
        let snapshot = match read(&directory) {
            Ok(Some(snapshot)) => snapshot,
            Ok(None) => return Err(damaged(format!("it has no {DESCRIPTION}"))),
            Err(error) => return Err(damaged(error.cause.unwrap_or(error.what))),
        };
        if let Some(why) = identity.differs(&snapshot.identity) {
            return Err(format!("the kept snapshot does not fit: {why}"));
        }
        if snapshot.name != RUNNING {
            return Err(damaged("it is the snapshot of a failure".into()));
        }
        match snapshot
            .files
            .iter()
            .find(|(name, stamp)| !FileStamp::of(&directory.join(name)).is_ok_and(|s| s.like(stamp)))
        {
            Some((name, _)) => Err(damaged(format!("{name} is not as it was left"))),
            None => Ok(StoredSnapshot { snapshot, directory }),
        }
    }

    /// Moves these files of the directory `from` here, and lets go of every other snapshot. Returns where they are now, and the
    /// bytes that they take.
    pub fn keep(&self, snapshot: MachineSnapshot, from: &Path, names: &[String]) -> Result<(StoredSnapshot, u64)> {
        let (new, directory) = (self.0.join(".new"), self.path(&snapshot.identity));
        let failed = |e: io::Error| Error::io("the snapshot cannot be kept", &self.0, e);
        gone(&new).map_err(failed)?;
        fs::create_dir_all(&new).map_err(failed)?;
        for name in names {
            diorite_host::file::rename(from.join(name), new.join(name)).map_err(failed)?;
        }
        let snapshot = described(snapshot, &new, names)?;
        // At most one, of whatever machine.
        for entry in fs::read_dir(&self.0).map_err(failed)?.flatten().filter(|e| e.path() != new) {
            gone(&entry.path()).map_err(failed)?;
        }
        diorite_host::file::rename(&new, &directory).map_err(failed)?;
        let about = names.iter().filter_map(|name| fs::metadata(directory.join(name)).ok());
        let bytes = about.map(|m| m.blocks() * 512).sum();
        Ok((StoredSnapshot { snapshot, directory }, bytes))
    }

    /// Records that the disk is another file whose digest was found to be the same.
    pub fn same_disk(&self, kept: &StoredSnapshot, stamp: FileStamp) -> Result<()> {
        let snapshot = MachineSnapshot { disk_stamp: stamp, ..kept.snapshot.clone() };
        write(&snapshot, &kept.directory)
    }

    /// Lets go of all of them.
    pub fn forget(&self) -> Result<()> {
        gone(&self.0).map_err(|e| Error::io("a snapshot that is of no use cannot be removed", &self.0, e))
    }
}

/// Gives the evidence in `directory` these files of the directory `from`: as links, where there can be some. Nobody writes
/// either afterwards.
pub(crate) fn evidence(snapshot: MachineSnapshot, from: &Path, names: &[String], directory: &Path) -> Result<()> {
    let failed = |e: io::Error| Error::io("the snapshot of the failure cannot be kept", directory, e);
    fs::create_dir_all(directory).map_err(failed)?;
    for name in names {
        let (from, to) = (from.join(name), directory.join(name));
        fs::hard_link(&from, &to).or_else(|_| fs::copy(&from, &to).map(drop)).map_err(failed)?;
    }
    described(snapshot, directory, names).map(drop)
}

/// Whether every file of a snapshot has the size it was left with; the name of one that has not.
pub(crate) fn sound(snapshot: &MachineSnapshot, directory: &Path) -> Option<String> {
    let other = |(name, stamp): &(&String, &FileStamp)| {
        !fs::metadata(directory.join(name)).is_ok_and(|m| m.len() == stamp.bytes)
    };
    snapshot.files.iter().find(other).map(|(name, _)| name.clone())
}

/// The description in a directory; `None` where there is none.
pub(crate) fn read(directory: &Path) -> Result<Option<MachineSnapshot>> {
    let file = directory.join(DESCRIPTION);
    let text = match fs::read(&file) {
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(None),
        other => other.map_err(|e| Error::io("the snapshot's description cannot be read", &file, e))?,
    };
    let damaged = |e: String| {
        let error = Error::input(format!("{DESCRIPTION} is damaged")).at(file.display().to_string()).because(e);
        error.hint("`diorite verify NAME` makes a new snapshot")
    };
    let snapshot: MachineSnapshot = serde_json::from_slice(&text).map_err(|e| damaged(e.to_string()))?;
    // The name is an argument of QEMU's, and the files are looked for in this directory.
    let plain = |name: &String| !name.is_empty() && !name.starts_with('.') && !name.contains('/');
    match snapshot.files.keys().find(|name| !plain(name)) {
        Some(name) => Err(damaged(format!("`{}` is not a file name", name.escape_debug()))),
        None if ![RUNNING, FAILED].contains(&snapshot.name.as_str()) => {
            Err(damaged(format!("no snapshot is called `{}`", snapshot.name.escape_debug())))
        }
        None => Ok(Some(snapshot)),
    }
}

/// Writes the description of a snapshot whose files are in their place.
fn described(snapshot: MachineSnapshot, directory: &Path, names: &[String]) -> Result<MachineSnapshot> {
    let stamps = names.iter().map(|name| Ok((name.clone(), FileStamp::of(&directory.join(name))?)));
    let snapshot = MachineSnapshot { files: stamps.collect::<Result<BTreeMap<_, _>>>()?, ..snapshot };
    write(&snapshot, directory)?;
    Ok(snapshot)
}

fn write(snapshot: &MachineSnapshot, directory: &Path) -> Result<()> {
    let file = directory.join(DESCRIPTION);
    let text = serde_json::to_string_pretty(snapshot).map_err(|e| Error::bug("a snapshot is no JSON").because(e))?;
    let written = diorite_host::file::write_whole(&file, (text + "\n").as_bytes(), 0o666);
    written.map_err(|e| Error::io("the snapshot's description cannot be written", &file, e))
}

/// Removes a file, or a directory with all that is in it, if it is there.
fn gone(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(about) if about.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::record::tests::{identity, snapshot};

    struct Scratch(PathBuf);

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    /// An `out` with a disk, and a machine's files in `run`.
    fn place(name: &str) -> Scratch {
        let out = std::env::temp_dir().join(format!("diorite-moments-{name}-{}", std::process::id()));
        fs::create_dir_all(out.join("run")).expect("directory");
        fs::write(out.join("disk.raw"), "disk").expect("disk");
        files(&out);
        Scratch(out)
    }

    fn files(out: &Path) {
        for name in NAMES {
            fs::write(out.join("run").join(name), name).expect("file");
        }
    }

    const NAMES: [&str; 2] = ["overlay.qcow2", "variables.qcow2"];

    fn names() -> Vec<String> {
        NAMES.map(str::to_owned).to_vec()
    }

    #[test]
    fn a_snapshot_is_found_again_and_another_takes_its_place() {
        let place = place("found");
        let snapshots = SnapshotStore::below(&place.0);
        assert_eq!(snapshots.find(&identity()).expect_err("none"), "no snapshot is kept yet");
        let made = snapshot(&place.0.join("disk.raw"));
        let (kept, bytes) = snapshots.keep(made, &place.0.join("run"), &names()).unwrap_or_else(|e| panic!("{e}"));
        assert!(bytes > 0 && kept.directory.starts_with(place.0.join(".snapshots")));
        let found = snapshots.find(&identity()).expect("it is there");
        assert_eq!((&found.snapshot, &found.directory), (&kept.snapshot, &kept.directory));
        assert_eq!(fs::read(found.directory.join(NAMES[0])).expect("file"), NAMES[0].as_bytes());
        assert!(!place.0.join("run").join(NAMES[0]).exists(), "moved, not copied");

        let newer = SnapshotIdentity { qemu: "1:11.0".into(), ..identity() };
        let why = snapshots.find(&newer).expect_err("another QEMU");
        assert_eq!(why, "the kept snapshot does not fit: QEMU 1:10.0.2 has kept it, and this is QEMU 1:11.0");
        files(&place.0);
        let other = MachineSnapshot { identity: newer.clone(), ..kept.snapshot };
        snapshots.keep(other, &place.0.join("run"), &names()).unwrap_or_else(|e| panic!("{e}"));
        assert!(snapshots.find(&newer).is_ok() && snapshots.find(&identity()).is_err());
        assert_eq!(fs::read_dir(&snapshots.0).expect("directory").count(), 1, "the older one is gone");
        snapshots.forget().expect("it goes");
        assert!(snapshots.find(&newer).is_err() && !snapshots.0.exists());
    }

    #[test]
    fn a_damaged_snapshot_is_no_snapshot() {
        let place = place("damaged");
        let snapshots = SnapshotStore::below(&place.0);
        let damage = |how: &dyn Fn(&Path)| {
            files(&place.0);
            let made = snapshot(&place.0.join("disk.raw"));
            let (kept, _) = snapshots.keep(made, &place.0.join("run"), &names()).unwrap_or_else(|e| panic!("{e}"));
            snapshots.find(&identity()).expect("it is good");
            how(&kept.directory);
            snapshots.find(&identity()).expect_err("damaged")
        };
        let written = damage(&|directory| fs::write(directory.join(NAMES[1]), NAMES[1]).expect("write"));
        assert_eq!(
            written, "the kept snapshot is damaged: variables.qcow2 is not as it was left",
            "the same bytes, later"
        );
        assert!(damage(&|directory| fs::remove_file(directory.join(NAMES[0])).expect("remove")).contains(NAMES[0]));
        assert!(
            damage(&|directory| fs::remove_file(directory.join("moment.json")).expect("remove"))
                .ends_with("has no moment.json")
        );
        assert!(
            damage(&|directory| fs::write(directory.join("moment.json"), "{}").expect("write"))
                .contains("missing field")
        );
        let renamed = |field: &str, from: &str, to: &str| {
            let (field, from, to) = (field.to_owned(), format!("\"{from}\""), format!("\"{to}\""));
            damage(&|directory| {
                let file = directory.join("moment.json");
                let text = fs::read_to_string(&file).expect("the description");
                assert!(text.contains(&from), "{field}");
                fs::write(file, text.replace(&from, &to)).expect("write");
            })
        };
        assert!(renamed("name", "running", "failed").ends_with("it is the snapshot of a failure"));
        assert!(renamed("name", "running", "x -device y").ends_with("no snapshot is called `x -device y`"));
        assert!(renamed("files", NAMES[0], "../../disk.raw").ends_with("`../../disk.raw` is not a file name"));
        // A directory left by an interrupted run does not get in the way.
        fs::create_dir_all(snapshots.0.join(".new")).expect("directory");
        fs::write(snapshots.0.join(".new/overlay.qcow2"), "half").expect("file");
        files(&place.0);
        snapshots.keep(snapshot(&place.0.join("disk.raw")), &place.0.join("run"), &names()).expect("it is kept");
        assert_eq!(fs::read_dir(&snapshots.0).expect("directory").count(), 1);
    }

    #[test]
    fn evidence_shares_the_bytes() {
        let place = place("evidence");
        let (run, evidence_in) = (place.0.join("run"), place.0.join("evidence"));
        let made = snapshot(&place.0.join("disk.raw"));
        evidence(made, &run, &names(), &evidence_in).unwrap_or_else(|e| panic!("{e}"));
        let stamp = |directory: &Path| FileStamp::of(&directory.join(NAMES[0])).expect("file").inode;
        assert_eq!(stamp(&run), stamp(&evidence_in));
        let there = read(&evidence_in).expect("readable").expect("there");
        assert_eq!(sound(&there, &evidence_in), None);
        fs::write(evidence_in.join(NAMES[1]), "cut").expect("write");
        assert_eq!(sound(&there, &evidence_in).as_deref(), Some(NAMES[1]));
        assert_eq!(read(&run).expect("readable"), None);
    }
}
