//! Programs of a tree that cannot do without /proc, run outside of a chroot on behalf of those inside.
//!
//! Inside, our own program lies in the place of systemd-tmpfiles(8) and hands its arguments through a Unix socket in
//! /run; outside, the tree's own systemd-tmpfiles runs by the tree's own loader with `--root=`. It then sees the
//! host's /proc, resolves names by the tree's passwd and group, and its result is the same as that of a run inside
//! with /proc mounted. Only [`super::SandboxMode::Chroot`] needs this.

use super::chroot::AsideGuard;
use super::launch::{Launch, Op, c, null_device, pipe};
use super::output::{LOG_LIMIT, Status, collect};
use super::policy::CAPABILITIES;
use diorite_model::{Error, Result};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Programs that run outside: paths in the tree.
pub(crate) const PROGRAMS: &[&str] = &["usr/bin/systemd-tmpfiles"];

/// The socket, in the tree.
const SOCKET: &str = "run/outside.socket";

#[derive(Serialize, Deserialize)]
struct Request {
    program: String,
    arguments: Vec<Vec<u8>>,
}

#[derive(Serialize, Deserialize)]
struct Reply {
    code: u8,
    output: Vec<u8>,
}

/// Inside: asks for a run and ends as it ended.
pub(crate) fn ask(program: &str, arguments: &[OsString]) -> ExitCode {
    let request =
        Request { program: program.to_owned(), arguments: arguments.iter().map(|a| a.as_bytes().to_vec()).collect() };
    let reply = || -> std::io::Result<Reply> {
        let mut stream = UnixStream::connect(Path::new("/").join(SOCKET))?;
        serde_json::to_writer(&mut stream, &request)?;
        stream.shutdown(std::net::Shutdown::Write)?;
        Ok(serde_json::from_reader(&mut stream)?)
    };
    match reply() {
        Ok(reply) => {
            let _ = std::io::stderr().write_all(&reply.output);
            ExitCode::from(reply.code)
        }
        Err(e) => {
            eprintln!("{program}: cannot be run outside of the chroot: {e}");
            ExitCode::FAILURE
        }
    }
}

/// Serves requests while `work` runs.
pub(super) fn serving<T>(root: &Path, place: &AsideGuard, work: impl FnOnce() -> T) -> Result<T> {
    let fail = |e: std::io::Error| Error::io("the way out of the tree cannot be opened", root.join(SOCKET), e);
    // A socket's address has at most 107 bytes (unix(7)), a tree's path may have more: by way of its directory.
    let run = File::open(root.join("run")).map_err(fail)?;
    let name = SOCKET.rsplit('/').next().expect("a name");
    let address = format!("/proc/self/fd/{}/{name}", run.as_raw_fd());
    let listener = UnixListener::bind(address).map_err(fail)?;
    let (stop, stop_end) = pipe().map_err(fail)?;
    Ok(std::thread::scope(|scope| {
        scope.spawn(|| {
            use rustix::event::{PollFd, PollFlags, poll};
            loop {
                let mut ready = [PollFd::new(&listener, PollFlags::IN), PollFd::new(&stop, PollFlags::IN)];
                match poll(&mut ready, None) {
                    Err(rustix::io::Errno::INTR) => continue,
                    Err(_) => return,
                    Ok(_) if !ready[1].revents().is_empty() => return,
                    Ok(_) => {}
                }
                if let Ok((stream, _)) = listener.accept() {
                    // A client that closes its connection before the answer gets none.
                    let _ = serve(root, place, stream);
                }
            }
        });
        let result = work();
        drop(stop_end);
        result
    }))
}

fn serve(root: &Path, place: &AsideGuard, mut stream: UnixStream) -> std::io::Result<()> {
    let mut text = Vec::new();
    stream.read_to_end(&mut text)?;
    let request: Request = serde_json::from_slice(&text)?;
    let reply = match run(root, place, &request) {
        Ok((Status::Code(code), output)) => Reply { code: code as u8, output },
        Ok((Status::Signal(signal), output)) => Reply { code: 128 + signal as u8, output },
        Err(e) => Reply { code: 1, output: format!("{e}\n").into_bytes() },
    };
    serde_json::to_writer(&mut stream, &reply)?;
    Ok(())
}

fn run(root: &Path, place: &AsideGuard, request: &Request) -> Result<(Status, Vec<u8>)> {
    let unknown = || Error::bug(format!("`{}` does not run outside", request.program));
    let path = PROGRAMS.iter().find(|p| p.rsplit('/').next() == Some(request.program.as_str())).ok_or_else(unknown)?;
    let program = place.original(&root.join(path)).ok_or_else(unknown)?;
    let at = |p: &str| super::resolve(root, Path::new(p), true).unwrap_or_else(|_| root.join(p));
    let libraries = ["usr/lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu/systemd"].map(|p| root.join(p));
    let libraries = [libraries[0].as_os_str(), libraries[1].as_os_str()].join(std::ffi::OsStr::new(":"));
    let mut option = OsString::from("--root=");
    option.push(root);
    let mut argv = vec![c(at("usr/lib64/ld-linux-x86-64.so.2")), c("--library-path"), c(libraries)];
    argv.extend([c("--argv0"), c(&request.program), c(program), c(option)]);
    for argument in &request.arguments {
        let argument = OsString::from_vec(argument.clone());
        // A root of its own choice would lead out of the tree.
        if argument.as_bytes().starts_with(b"--root") || argument.as_bytes().starts_with(b"--image") {
            continue;
        }
        argv.push(c(configuration(root, &argument)));
    }
    let null = null_device()?;
    let (read, write) = pipe().map_err(|e| Error::host("no pipe").because(e))?;
    let env = [("PATH", "/nonexistent"), ("LC_ALL", "C"), ("LANG", "C")];
    let launch = Launch {
        namespaces: 0,
        ids: None,
        init: false,
        reaper: false,
        ops: vec![("umask".into(), Op::Umask(0o022)), ("capabilities".into(), Op::Capabilities(CAPABILITIES))],
        argv,
        env: env.map(|(k, v)| (c(k), c(v))).into(),
        streams: [null.as_raw_fd(), write.as_raw_fd(), write.as_raw_fd()],
        keep: Vec::new(),
        death_signal: libc::SIGKILL,
    };
    let running = launch.start(libc::SIGKILL)?;
    drop(write);
    let output = collect(read, &mut |_| {}, LOG_LIMIT);
    Ok((running.wait()?.status, output))
}

/// A configuration file named by an absolute path is meant inside the tree.
fn configuration(root: &Path, argument: &OsString) -> PathBuf {
    let path = Path::new(argument);
    match path.is_absolute() {
        true => super::resolve(root, path, true).unwrap_or_else(|_| path.to_owned()),
        false => path.to_owned(),
    }
}
