//! One run of a tool: arguments, files, descriptors; waited for or left running.

use super::toolroot::{Isolation, VisiblePath, isolation, operations, via_loader};
use super::{Tool, ToolsTree};
use crate::sandbox::launch::{Launch, Running, c, null_device, pipe};
use crate::sandbox::{NAMESPACES, Output, Status, collect};
use diorite_model::plan::ToolRun;
use diorite_model::{Error, Result};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// A tool's run, to be filled in.
#[derive(Debug)]
pub struct ToolCommand {
    tools: ToolsTree,
    tool: Tool,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    shown: Vec<VisiblePath>,
    stdin: Vec<u8>,
    keep: Vec<RawFd>,
    cwd: Option<PathBuf>,
}

impl ToolCommand {
    pub(super) fn new(tools: &ToolsTree, tool: Tool) -> Self {
        let env = [("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"), ("HOME", "/tmp"), ("LC_ALL", "C.UTF-8")];
        let env = env.into_iter().chain([("PYTHONDONTWRITEBYTECODE", "1"), ("TZ", "UTC")]);
        Self {
            tools: tools.clone(),
            tool,
            args: Vec::new(),
            env: env.map(|(k, v)| (k.into(), v.into())).collect(),
            shown: Vec::new(),
            stdin: Vec::new(),
            keep: Vec::new(),
            cwd: None,
        }
    }

    /// Adds an argument.
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }
    /// Adds arguments after those that are there.
    pub fn args(mut self, args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }
    /// Shows a file or directory, read-only, at its own absolute path. It is no argument by itself.
    pub fn input(mut self, path: impl AsRef<Path>) -> Self {
        self.shown.push(VisiblePath { path: absolute(path.as_ref()), writable: false });
        self
    }
    /// Shows a file or directory for writing, at its own absolute path; for a file that is not there yet, its directory.
    pub fn output(mut self, path: impl AsRef<Path>) -> Self {
        let mut path = absolute(path.as_ref());
        if !path.exists()
            && let Some(directory) = path.parent()
        {
            path = directory.to_owned();
        }
        self.shown.push(VisiblePath { path, writable: true });
        self
    }
    /// Sets a variable; otherwise there are PATH, HOME, LC_ALL=C.UTF-8, TZ=UTC.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        let (name, value) = (name.into(), value.into());
        self.env.retain(|(n, _)| *n != name);
        self.env.push((name, value));
        self
    }
    /// What it reads on stdin; otherwise nothing.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }
    /// Lets it inherit a descriptor under the same number (3 or more); keep it open until the start.
    pub fn fd(mut self, fd: &impl AsRawFd) -> Self {
        self.keep.push(fd.as_raw_fd());
        self
    }
    /// Its working directory, which must be shown; otherwise `/`.
    pub fn cwd(mut self, path: impl AsRef<Path>) -> Self {
        self.cwd = Some(absolute(path.as_ref()));
        self
    }

    /// What `build.json` says about this run.
    pub fn record(&self) -> ToolRun {
        ToolRun {
            name: self.tool.name().to_owned(),
            version: self.tools.version(self.tool).to_owned(),
            argv: self.args.iter().map(|a| a.to_string_lossy().into_owned()).collect(),
        }
    }

    /// Runs it to its end. [`Output::stdout`] is what it wrote there, whole; [`Output::log`] what it said on stderr.
    /// A tool that fails is no error here.
    ///
    /// # Errors
    /// When it cannot be started; [`diorite_model::Exit::Interrupted`].
    pub fn run(&self) -> Result<Output> {
        let (read, write) = pipe().map_err(|e| self.fail(e))?;
        let mut log = memory().map_err(|e| self.fail(e))?;
        let running = self.start(&write, &log)?;
        drop(write);
        let stdout = collect(read, &mut |_| {}, usize::MAX);
        let ended = running.wait()?;
        let mut words = Vec::new();
        log.seek(SeekFrom::Start(0)).and_then(|_| log.read_to_end(&mut words)).map_err(|e| self.fail(e))?;
        Ok(Output { status: ended.status, log: words, stdout, cpu: ended.cpu })
    }

    /// Like [`ToolCommand::run`], and a tool that fails is an error with its last words.
    pub fn run_ok(&self) -> Result<Output> {
        let output = self.run()?;
        if output.status.success() {
            return Ok(output);
        }
        let words = [output.stdout.as_slice(), output.log.as_slice()].concat();
        let tail = Output { log: words, ..output.clone() }.tail(20);
        Err(Error::host(format!("`{}` failed", self.tool.name())).because(output.status).detail(tail).at(self.line()))
    }

    /// Starts it and leaves it running. stdout and stderr go to [`Child::log`].
    pub fn spawn(&self) -> Result<Child> {
        let log = memory().map_err(|e| self.fail(e))?;
        let running = self.start(&log, &log)?;
        Ok(Child { running, log, name: self.tool.name() })
    }

    fn start(&self, stdout: &impl AsRawFd, stderr: &impl AsRawFd) -> Result<Running> {
        let null = null_device()?;
        let input = match self.stdin.is_empty() {
            true => None,
            false => {
                let mut file = memory().map_err(|e| self.fail(e))?;
                file.write_all(&self.stdin).and_then(|()| file.rewind()).map_err(|e| self.fail(e))?;
                Some(file)
            }
        };
        let mut env: Vec<_> = self.env.iter().map(|(k, v)| (c(k), c(v))).collect();
        let cwd = self.cwd.as_deref().unwrap_or(Path::new("/"));
        let (namespaces, ids, ops, mut argv) = match isolation() {
            Isolation::Namespaces(ids) => {
                // A missing program should be named as the tree's lack, not as a failed exec.
                self.tools.file(self.tool.path())?;
                let ops = operations(&self.tools, &self.shown, cwd)?;
                (NAMESPACES, ids.clone(), ops, vec![c(Path::new("/").join(self.tool.path()))])
            }
            Isolation::Loader => {
                let (argv, more) = via_loader(&self.tools, self.tool)?;
                env.extend(more.into_iter().map(|(k, v)| (c(k), c(v))));
                let chdir = crate::sandbox::launch::Op::Chdir(c(cwd));
                (0, None, vec![(format!("chdir {}", cwd.display()), chdir)], argv)
            }
        };
        argv.extend(self.args.iter().map(c));
        let launch = Launch {
            namespaces,
            ids,
            init: namespaces != 0,
            reaper: false,
            ops,
            argv,
            env,
            streams: [
                input.as_ref().map_or(null.as_raw_fd(), AsRawFd::as_raw_fd),
                stdout.as_raw_fd(),
                stderr.as_raw_fd(),
            ],
            keep: self.keep.clone(),
            death_signal: libc::SIGKILL,
        };
        launch.start(libc::SIGKILL)
    }

    fn fail(&self, error: std::io::Error) -> Error {
        Error::host(format!("`{}` cannot be started", self.tool.name())).because(error)
    }

    fn line(&self) -> String {
        let words = [OsStr::new(self.tool.name())].into_iter().chain(self.args.iter().map(OsString::as_os_str));
        words.map(|w| w.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }
}

/// A tool that runs. Dropping it kills it, and so does the end of the thread that started it: keep that thread.
#[derive(Debug)]
pub struct Child {
    running: Running,
    log: File,
    name: &'static str,
}

impl Child {
    /// How it ended, if it has.
    pub fn try_wait(&mut self) -> Option<Status> {
        self.running.try_wait().map(|e| e.status)
    }
    /// The share of its time in which it could have run and the host ran others, 0 to 1, where the kernel says that.
    pub fn waited(&self) -> Option<f64> {
        super::cpu_wait::share(self.running.pid)
    }
    /// What it wrote to stdout and stderr so far.
    pub fn log(&self) -> String {
        let mut bytes = vec![0; self.log.metadata().map_or(0, |m| m.len() as usize)];
        let n = self.log.read_at(&mut bytes, 0).unwrap_or(0);
        String::from_utf8_lossy(&bytes[..n]).into_owned()
    }
    /// Kills it, and everything it started.
    pub fn kill(&mut self) {
        self.running.kill();
    }
    /// Waits for its end.
    pub fn wait(self) -> Result<Output> {
        let mut log = self.log;
        let ended = self.running.wait()?;
        let mut bytes = Vec::new();
        log.seek(SeekFrom::Start(0))
            .and_then(|_| log.read_to_end(&mut bytes))
            .map_err(|e| Error::host(format!("the output of `{}` could not be read", self.name)).because(e))?;
        Ok(Output { status: ended.status, log: bytes, stdout: Vec::new(), cpu: ended.cpu })
    }
}

/// A file in memory, closed on exec.
fn memory() -> std::io::Result<File> {
    let fd: OwnedFd = rustix::fs::memfd_create("diorite", rustix::fs::MemfdFlags::CLOEXEC)?;
    Ok(fd.into())
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
