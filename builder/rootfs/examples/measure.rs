//! Where the seconds of the room are: `measure tools|configured POOL OUT` on a directory of .debs.

use diorite_host::progress::Progress;
use diorite_host::sandbox::{self, typed};
use diorite_model::{Digest, Error, LockedPackage, Result};
use diorite_rootfs::{build, deb::Deb, tools_tree};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    // The host's own stand-ins, where it has any, then ours.
    if let Some(code) = diorite_host::multicall::dispatch(&[]) {
        return code;
    }
    if let Some(status) = diorite_rootfs::helpers::dispatch(&args[0], &args[1..]) {
        std::process::exit(status);
    }
    if let Some(code) =
        sandbox::inside(&[("tree", |json| typed(json, |job: build::TreeJob, p| build::configured(&job, p)))])
    {
        return code;
    }
    let [_, verb, pool, out] = args.as_slice() else { panic!("measure tools|configured POOL OUT") };
    let result = packages(Path::new(pool)).and_then(|packages| match verb.as_str() {
        "tools" => tools_tree::unpack(&packages, Path::new(out), &Progress::new()),
        "configured" => {
            let (work, result) = (Path::new(out).join("work"), Path::new(out).join("pack"));
            let job = build::TreeJob {
                trees: vec![build::TreeParts { packages, result, ..Default::default() }],
                epoch: 1_760_000_000,
                work,
            };
            sandbox::run_inside::<build::TreeTimes>("tree", &job, &Progress::new()).map(drop)
        }
        _ => Err(Error::bug("unknown verb")),
    });
    let usage = rustix_usage();
    eprintln!("{usage}");
    if let Err(e) = result {
        eprintln!("{e}");
        return ExitCode::from(e.exit as u8);
    }
    ExitCode::SUCCESS
}

fn packages(pool: &Path) -> Result<Vec<(LockedPackage, PathBuf)>> {
    let list = std::fs::read_dir(pool).map_err(|e| Error::io("cannot list", pool, e))?;
    let mut paths: Vec<PathBuf> = list.flatten().map(|e| e.path()).collect();
    paths.retain(|p| p.extension().is_some_and(|e| e == "deb"));
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let deb = Deb::open(&path)?;
            let locked = LockedPackage {
                name: deb.name().into(),
                version: deb.version().into(),
                architecture: deb.architecture().into(),
                release: "local".into(),
                path: String::new(),
                size: path.metadata().map_or(0, |m| m.len()),
                sha256: Digest([0; 32]),
            };
            Ok((locked, path))
        })
        .collect()
}

fn rustix_usage() -> String {
    // SAFETY: getrusage fills the structure it is given.
    let cpu = |who| unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(who, &mut usage);
        let seconds = |t: libc::timeval| t.tv_sec as f64 + t.tv_usec as f64 / 1e6;
        (seconds(usage.ru_utime), seconds(usage.ru_stime), usage.ru_maxrss / 1024)
    };
    format!("own {:?} children {:?} (user s, system s, MiB)", cpu(libc::RUSAGE_SELF), cpu(libc::RUSAGE_CHILDREN))
}
