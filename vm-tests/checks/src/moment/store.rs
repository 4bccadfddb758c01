//! Where moments lie: `OUT/.moments/KEY`, one for an image, and `OUT/evidence`. Each directory holds `moment.json` and the
//! files of the machine. It appears whole or not at all.

use super::{Identity, Moment, Stamp};
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

/// The moments of one image.
#[derive(Debug)]
pub(crate) struct Moments(PathBuf);

/// A moment that fits, and the directory it is in.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub moment: Moment,
    pub directory: PathBuf,
}

impl Moments {
    /// Below a directory for results.
    pub fn below(out: &Path) -> Self {
        Self(out.join(".moments"))
    }

    fn place(&self, identity: &Identity) -> PathBuf {
        self.0.join(identity.key().short(DIGITS))
    }

    /// The moment of these circumstances; else in words why there is none.
    pub fn find(&self, identity: &Identity) -> std::result::Result<Kept, String> {
        let directory = self.place(identity);
        if !directory.exists() {
            let others = fs::read_dir(&self.0).into_iter().flatten().flatten();
            let mut why = others.filter_map(|e| identity.differs(&read(&e.path()).ok()??.identity));
            return Err(why
                .next()
                .map_or("no moment is kept yet".into(), |w| format!("the kept moment does not fit: {w}")));
        }
        let damaged = |what: String| format!("the kept moment is damaged: {what}");
        let moment = match read(&directory) {
            Ok(Some(moment)) => moment,
            Ok(None) => return Err(damaged(format!("it has no {DESCRIPTION}"))),
            Err(error) => return Err(damaged(error.cause.unwrap_or(error.what))),
        };
        if let Some(why) = identity.differs(&moment.identity) {
            return Err(format!("the kept moment does not fit: {why}"));
        }
        match moment.files.iter().find(|(name, stamp)| !Stamp::of(&directory.join(name)).is_ok_and(|s| s.like(stamp))) {
            Some((name, _)) => Err(damaged(format!("{name} is not as it was left"))),
            None => Ok(Kept { moment, directory }),
        }
    }

    /// Moves these files of the directory `from` here, and lets go of every other moment. Returns where they are now, and the
    /// bytes that they take.
    pub fn keep(&self, moment: Moment, from: &Path, names: &[&str]) -> Result<(Kept, u64)> {
        let (new, directory) = (self.0.join(".new"), self.place(&moment.identity));
        let failed = |e: io::Error| Error::io("the moment cannot be kept", &self.0, e);
        gone(&new).map_err(failed)?;
        fs::create_dir_all(&new).map_err(failed)?;
        for name in names {
            diorite_host::file::rename(from.join(name), new.join(name)).map_err(failed)?;
        }
        let moment = described(moment, &new, names)?;
        // At most one, of whatever machine.
        for entry in fs::read_dir(&self.0).map_err(failed)?.flatten().filter(|e| e.path() != new) {
            gone(&entry.path()).map_err(failed)?;
        }
        diorite_host::file::rename(&new, &directory).map_err(failed)?;
        let about = names.iter().filter_map(|name| fs::metadata(directory.join(name)).ok());
        let bytes = about.map(|m| m.blocks() * 512).sum();
        Ok((Kept { moment, directory }, bytes))
    }

    /// Writes down that the disk's file is another one with the same bytes, which somebody has looked at.
    pub fn same_disk(&self, kept: &Kept, stamp: Stamp) -> Result<()> {
        let moment = Moment { disk_stamp: stamp, ..kept.moment.clone() };
        write(&moment, &kept.directory)
    }

    /// Lets go of all of them.
    pub fn forget(&self) -> Result<()> {
        gone(&self.0).map_err(|e| Error::io("a moment that is of no use cannot be removed", &self.0, e))
    }
}

/// Gives the evidence in `directory` these files of the directory `from`: as links, where there can be some. Nobody writes
/// either afterwards.
pub(crate) fn evidence(moment: Moment, from: &Path, names: &[&str], directory: &Path) -> Result<()> {
    let failed = |e: io::Error| Error::io("the moment of failure cannot be kept", directory, e);
    fs::create_dir_all(directory).map_err(failed)?;
    for name in names {
        let (from, to) = (from.join(name), directory.join(name));
        fs::hard_link(&from, &to).or_else(|_| fs::copy(&from, &to).map(drop)).map_err(failed)?;
    }
    described(moment, directory, names).map(drop)
}

/// Whether every file of a moment has the size it was left with; the name of one that has not.
pub(crate) fn sound(moment: &Moment, directory: &Path) -> Option<String> {
    let other =
        |(name, stamp): &(&String, &Stamp)| !fs::metadata(directory.join(name)).is_ok_and(|m| m.len() == stamp.bytes);
    moment.files.iter().find(other).map(|(name, _)| name.clone())
}

/// The description in a directory; `None` where there is none.
pub(crate) fn read(directory: &Path) -> Result<Option<Moment>> {
    let file = directory.join(DESCRIPTION);
    let text = match fs::read(&file) {
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(None),
        other => other.map_err(|e| Error::io("the moment's description cannot be read", &file, e))?,
    };
    let damaged = |e| {
        let error = Error::input(format!("{DESCRIPTION} is damaged")).at(file.display().to_string()).because(e);
        error.hint("`diorite verify NAME` makes a new moment")
    };
    serde_json::from_slice(&text).map(Some).map_err(damaged)
}

/// Writes the description of a moment whose files are in their place.
fn described(moment: Moment, directory: &Path, names: &[&str]) -> Result<Moment> {
    let stamps = names.iter().map(|name| Ok(((*name).to_owned(), Stamp::of(&directory.join(name))?)));
    let moment = Moment { files: stamps.collect::<Result<BTreeMap<_, _>>>()?, ..moment };
    write(&moment, directory)?;
    Ok(moment)
}

fn write(moment: &Moment, directory: &Path) -> Result<()> {
    let file = directory.join(DESCRIPTION);
    let text = serde_json::to_string_pretty(moment).map_err(|e| Error::bug("a moment is no JSON").because(e))?;
    let written = diorite_host::file::write_whole(&file, (text + "\n").as_bytes(), 0o666);
    written.map_err(|e| Error::io("the moment's description cannot be written", &file, e))
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
    use super::super::tests::{identity, moment};
    use super::*;

    struct Place(PathBuf);

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    /// An `out` with a disk, and a machine's files in `run`.
    fn place(name: &str) -> Place {
        let out = std::env::temp_dir().join(format!("diorite-moments-{name}-{}", std::process::id()));
        fs::create_dir_all(out.join("run")).expect("directory");
        fs::write(out.join("disk.raw"), "disk").expect("disk");
        files(&out);
        Place(out)
    }

    fn files(out: &Path) {
        for name in NAMES {
            fs::write(out.join("run").join(name), name).expect("file");
        }
    }

    const NAMES: [&str; 2] = ["overlay.qcow2", "variables.qcow2"];

    #[test]
    fn a_moment_is_found_again_and_another_takes_its_place() {
        let place = place("found");
        let moments = Moments::below(&place.0);
        assert_eq!(moments.find(&identity()).expect_err("none"), "no moment is kept yet");
        let made = moment(&place.0.join("disk.raw"));
        let (kept, bytes) = moments.keep(made, &place.0.join("run"), &NAMES).unwrap_or_else(|e| panic!("{e}"));
        assert!(bytes > 0 && kept.directory.starts_with(place.0.join(".moments")));
        let found = moments.find(&identity()).expect("it is there");
        assert_eq!((&found.moment, &found.directory), (&kept.moment, &kept.directory));
        assert_eq!(fs::read(found.directory.join(NAMES[0])).expect("file"), NAMES[0].as_bytes());
        assert!(!place.0.join("run").join(NAMES[0]).exists(), "moved, not copied");

        let newer = Identity { qemu: "1:11.0".into(), ..identity() };
        let why = moments.find(&newer).expect_err("another QEMU");
        assert_eq!(why, "the kept moment does not fit: QEMU 1:10.0.2 has kept it, and this is QEMU 1:11.0");
        files(&place.0);
        let other = Moment { identity: newer.clone(), ..kept.moment };
        moments.keep(other, &place.0.join("run"), &NAMES).unwrap_or_else(|e| panic!("{e}"));
        assert!(moments.find(&newer).is_ok() && moments.find(&identity()).is_err());
        assert_eq!(fs::read_dir(&moments.0).expect("directory").count(), 1, "the older one is gone");
        moments.forget().expect("it goes");
        assert!(moments.find(&newer).is_err() && !moments.0.exists());
    }

    #[test]
    fn a_damaged_moment_is_no_moment() {
        let place = place("damaged");
        let moments = Moments::below(&place.0);
        let damage = |how: &dyn Fn(&Path)| {
            files(&place.0);
            let made = moment(&place.0.join("disk.raw"));
            let (kept, _) = moments.keep(made, &place.0.join("run"), &NAMES).unwrap_or_else(|e| panic!("{e}"));
            moments.find(&identity()).expect("it is good");
            how(&kept.directory);
            moments.find(&identity()).expect_err("damaged")
        };
        let written = damage(&|directory| fs::write(directory.join(NAMES[1]), NAMES[1]).expect("write"));
        assert_eq!(
            written, "the kept moment is damaged: variables.qcow2 is not as it was left",
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
        // What was half kept when somebody pulled the plug is in nobody's way.
        fs::create_dir_all(moments.0.join(".new")).expect("directory");
        fs::write(moments.0.join(".new/overlay.qcow2"), "half").expect("file");
        files(&place.0);
        moments.keep(moment(&place.0.join("disk.raw")), &place.0.join("run"), &NAMES).expect("it is kept");
        assert_eq!(fs::read_dir(&moments.0).expect("directory").count(), 1);
    }

    #[test]
    fn evidence_shares_the_bytes() {
        let place = place("evidence");
        let (run, evidence_in) = (place.0.join("run"), place.0.join("evidence"));
        let made = moment(&place.0.join("disk.raw"));
        evidence(made, &run, &NAMES, &evidence_in).unwrap_or_else(|e| panic!("{e}"));
        let stamp = |directory: &Path| Stamp::of(&directory.join(NAMES[0])).expect("file").inode;
        assert_eq!(stamp(&run), stamp(&evidence_in));
        let there = read(&evidence_in).expect("readable").expect("there");
        assert_eq!(sound(&there, &evidence_in), None);
        fs::write(evidence_in.join(NAMES[1]), "cut").expect("write");
        assert_eq!(sound(&there, &evidence_in).as_deref(), Some(NAMES[1]));
        assert_eq!(read(&run).expect("readable"), None);
    }
}
