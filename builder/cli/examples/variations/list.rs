//! The variations, each with how it is made. A closure that changes a mount table or a host name does so on a thread with its own.

use crate::clock::{self, StartTime};
use crate::host;
use crate::place::{NoDigest, Outcome, Place, sum};
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// A changed condition.
pub struct Variation {
    /// What is changed.
    pub name: &'static str,
    /// How it was changed.
    pub how: &'static str,
    /// Where project and store are.
    pub path: &'static str,
    /// Builds.
    pub run: fn(&Place) -> Outcome,
}

const fn variation(name: &'static str, how: &'static str, run: fn(&Place) -> Outcome) -> Variation {
    Variation { name, how, path: "place", run }
}

/// All of them.
pub const ALL: &[Variation] = &[
    variation("cold store", "an empty store, the same otherwise", |place| place.digest(&mut place.build())),
    variation("warm store", "a second build, whose disk alone is made again", warm),
    Variation {
        name: "path",
        how: "a long path with spaces and letters beyond ASCII",
        path: "an other place/with Ümläuten, and 'quotes'/αβγ/0123456789012345678901234567890123456789",
        run: |place| place.digest(&mut place.build()),
    },
    variation("host name", "sethostname(2) in a namespace", |place| {
        apart(|| {
            // SAFETY: unshare(2) of the name concerns this thread alone, and the name has the length given.
            let done = unsafe {
                libc::unshare(libc::CLONE_NEWUTS) == 0 && libc::sethostname(c"elsewhere.invalid".as_ptr(), 17) == 0
            };
            if done { place.digest(&mut place.build()) } else { skip("this root may give itself no host name") }
        })
    }),
    variation("umask 077", "umask(2)", |place| masked(place, 0o077)),
    variation("umask 000", "umask(2)", |place| masked(place, 0)),
    variation("locale", "LC_ALL=tr_TR.UTF-8, LANGUAGE=tr", |place| {
        place.digest(place.build().envs([("LANG", "tr_TR.UTF-8"), ("LC_ALL", "tr_TR.UTF-8"), ("LANGUAGE", "tr")]))
    }),
    variation("time zone", "TZ=Pacific/Kiritimati (UTC+14)", |place| {
        place.digest(place.build().env("TZ", "Pacific/Kiritimati"))
    }),
    variation("environment", "nothing but PATH, and names that programs listen to", |place| {
        let mut command = place.build();
        command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", "/nonexistent").env("DIORITE_STORE", &place.store);
        command.envs([("SOURCE_DATE_EPOCH", "1"), ("PYTHONHASHSEED", "7"), ("DEBIAN_FRONTEND", "gtk"), ("GZIP", "-1")]);
        place.digest(command.envs([
            ("XZ_OPT", "-0"),
            ("ZSTD_CLEVEL", "1"),
            ("TAR_OPTIONS", "--mtime=1"),
            ("PERL_HASH_SEED", "5"),
        ]))
    }),
    variation("clock 1970", "ptrace(2): every program's clock shows 1970-01-01", |place| at(place, StartTime(60))),
    variation("clock +10 years", "the same; the store is filled from a vault under that clock", from_a_vault),
    variation("threads 1", "RAYON_NUM_THREADS=1, one processor (taskset)", |place| {
        place.digest(place.after(&["taskset", "1"]).env("RAYON_NUM_THREADS", "1"))
    }),
    variation("threads 2", "RAYON_NUM_THREADS=2", |place| place.digest(place.build().env("RAYON_NUM_THREADS", "2"))),
    variation("threads 8", "RAYON_NUM_THREADS=8", |place| place.digest(place.build().env("RAYON_NUM_THREADS", "8"))),
    variation("threads 16", "RAYON_NUM_THREADS=16", |place| place.digest(place.build().env("RAYON_NUM_THREADS", "16"))),
    variation("directory order, shuffled", "disorderfs, project and store", |place| {
        disordered(place, "--shuffle-dirents=yes")
    }),
    variation("directory order, reversed", "disorderfs, project and store", |place| {
        disordered(place, "--reverse-dirents=yes")
    }),
    variation("trees on the disk", "no room in memory (DIORITE_SIMULATE=little-memory)", |place| {
        place.digest(place.build().env("DIORITE_SIMULATE", "little-memory"))
    }),
    variation("kernel release", "setarch --uname-2.6", |place| {
        place.digest(&mut place.after(&["setarch", "--uname-2.6"]))
    }),
    variation("machine", "setarch linux32: uname(2) says i686", |place| {
        place.digest(&mut place.after(&["setarch", "linux32"]))
    }),
    variation("addresses", "setarch --addr-no-randomize", |place| place.digest(&mut place.after(&["setarch", "-R"]))),
    variation("ext4", "project and store on this machine's disk; elsewhere they are in memory", on_the_disk),
    variation("interrupted", "killed four times on the way, then resumed in the same store", interrupted),
    variation("root without namespaces", "DIORITE_SIMULATE=plain-container", |place| {
        place.digest(place.build().env("DIORITE_SIMULATE", "plain-container"))
    }),
    variation("user namespace", "DIORITE_SANDBOX=userns", |place| {
        place.digest(place.build().env("DIORITE_SANDBOX", "userns"))
    }),
    variation("another compilation", "OTHER: a build without optimisation, and with debug assertions", another_program),
    variation(
        "features of the processor",
        "GLIBC_TUNABLES hides AVX, AVX2, BMI, ERMS and more from the C library",
        |place| {
            let hidden = "glibc.cpu.hwcaps=-AVX,-AVX2,-AVX512F,-BMI1,-BMI2,-ERMS,-FSRM,-SSE4_2,-LZCNT,-MOVBE,-POPCNT";
            place.digest(place.build().env("GLIBC_TUNABLES", hidden))
        },
    ),
    variation("no network", "a network namespace without interfaces", |place| {
        apart(|| {
            // SAFETY: unshare(2) of the network concerns this thread alone.
            match unsafe { libc::unshare(libc::CLONE_NEWNET) } {
                0 => place.digest(&mut place.build()),
                _ => skip("this root may have no network of its own"),
            }
        })
    }),
];

fn skip(why: impl Into<String>) -> Outcome {
    Err(NoDigest::Skipped(why.into()))
}

/// On a thread with a mount table of its own.
pub fn apart(job: impl FnOnce() -> Outcome + Send) -> Outcome {
    host::apart(job).unwrap_or_else(|ignored| skip(ignored.0))
}

fn masked(place: &Place, mask: libc::mode_t) -> Outcome {
    let mut command = place.build();
    // SAFETY: umask(2) between fork and exec.
    unsafe {
        command.pre_exec(move || {
            libc::umask(mask);
            Ok(())
        });
    }
    place.digest(&mut command)
}

fn warm(place: &Place) -> Outcome {
    place.digest(&mut place.build())?;
    fs::remove_dir_all(place.project.join("out")).expect("the results");
    place.digest(&mut place.build())
}

fn at(place: &Place, start: StartTime) -> Outcome {
    // Positive control: another program sees that clock.
    let file = place.directory.join("shown");
    let mut date = Command::new("date");
    date.arg("+%s").stdout(fs::File::create(&file).expect("a file"));
    let shown = clock::run(date, start).map(|_| fs::read_to_string(&file).unwrap_or_default());
    let seconds: i64 = shown.ok().and_then(|text| text.trim().parse().ok()).unwrap_or_default();
    if !(start.0..start.0 + 3600).contains(&seconds) {
        return Err(NoDigest::Failed(format!("date(1) sees {seconds}, not {}", start.0)));
    }
    by(place, place.build(), start)?;
    sum(&place.disk())
}

/// Runs a program of a place under another clock.
fn by(place: &Place, mut command: Command, start: StartTime) -> Result<(), NoDigest> {
    let log = place.directory.join("log");
    command.stderr(fs::File::create(&log).expect("a log")).stdout(Stdio::null());
    match clock::run(command, start) {
        Ok(Some(0)) => Ok(()),
        other => Err(NoDigest::Failed(format!("{other:?}: {}", fs::read_to_string(&log).unwrap_or_default()))),
    }
}

/// In ten years: nothing but a vault, no mirror, keys and release files that expired long ago.
fn from_a_vault(place: &Place) -> Outcome {
    let vault = place.directory.join("base.vault");
    let mut export = place.build();
    export = again(&export, place, &["-q", "vault", "export", place.profile, &vault.display().to_string()]);
    if !export.status().expect("the program").success() {
        return Err(NoDigest::Failed("the vault".into()));
    }
    fs::remove_file(place.store.join("pool")).expect("the link to the packages");
    let lock = place.project.join(format!("profiles/{}.lock", place.profile));
    fs::remove_file(lock).expect("the lock");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs();
    let later = StartTime(now as i64 + 10 * 365 * 86_400 + 3 * 86_400);
    let import = again(&place.build(), place, &["-q", "vault", "import", &vault.display().to_string()]);
    by(place, import, later)?;
    at(place, later)
}

/// The same program and surroundings with other arguments.
fn again(command: &Command, place: &Place, arguments: &[&str]) -> Command {
    let mut other = Command::new(command.get_program());
    other.args(arguments).current_dir(&place.project);
    other.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    other
}

/// Everything is seen through a file system that gives the entries of directories in another order.
fn disordered(place: &Place, order: &str) -> Outcome {
    apart(|| {
        let seen = place.directory.join("seen");
        fs::create_dir_all(&seen).expect("a directory");
        let mut command = Command::new("disorderfs");
        command.args(["--multi-user=yes", "--share-locks=yes", "--sort-dirents=no", order, "-q"]);
        match command.arg(&place.directory).arg(&seen).status() {
            Err(e) => return skip(format!("disorderfs (Debian's package) cannot be started: {e}")),
            Ok(status) if !status.success() => return skip("disorderfs cannot mount here: FUSE"),
            Ok(_) => {}
        }
        let mut build = Command::new(place.build().get_program());
        build.args(["-q", "build", place.profile, "--format", "raw"]).current_dir(seen.join("project"));
        build.env("DIORITE_STORE", seen.join("store")).env("DIORITE_MIRROR", "http://127.0.0.1:9/nowhere");
        let outcome = place.digest(&mut build);
        let _ = Command::new("umount").arg("--lazy").arg(&seen).status();
        outcome
    })
}

fn on_the_disk(place: &Place) -> Outcome {
    let directory = tempfile::Builder::new().prefix("variations-").tempdir_in(".").expect("a directory");
    let place = Place::below(place.world, place.profile, &directory.path().canonicalize().expect("it").join("place"));
    let kind = Command::new("stat").args(["-f", "-c", "%T"]).arg(&place.directory).output().expect("stat");
    let kind = String::from_utf8_lossy(&kind.stdout).trim().to_owned();
    if !kind.contains("ext") { skip(format!("the repository is on {kind}")) } else { place.digest(&mut place.build()) }
}

/// Kills the build when the store has got this far, again and again, and lets it come to its end.
fn interrupted(place: &Place) -> Outcome {
    let there = |path: &str| -> usize { fs::read_dir(place.store.join(path)).map_or(0, Iterator::count) };
    let moments: [&dyn Fn() -> bool; 4] =
        [&|| there("scratch") > 0, &|| there("scratch") > 2, &|| there("steps/tree") > 0, &|| {
            there("steps/filesystem") > 0 || place.project.join("out").join(place.profile).join(".building").exists()
        }];
    for moment in moments {
        let mut child = place.build().stderr(Stdio::null()).stdout(Stdio::null()).spawn().expect("the program");
        while !moment() && child.try_wait().expect("the program").is_none() {
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = child.kill();
        let _ = child.wait();
    }
    place.digest(&mut place.build())
}

fn another_program(place: &Place) -> Outcome {
    let Some(other) = std::env::var_os("OTHER").map(PathBuf::from) else {
        return skip("OTHER names no other compilation of the program");
    };
    let own = place.project.join("diorite");
    fs::remove_file(&own).expect("the program");
    fs::copy(Path::new(&other), &own).expect("the other program");
    place.digest(&mut place.build())
}
