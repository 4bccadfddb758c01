//! A stand-in for the host's fence: unshare(1) and chroot(1). To be replaced by `diorite_host::sandbox::Fence`.

use diorite_model::{Error, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

pub struct Fence {
    root: PathBuf,
    binds: Vec<(PathBuf, String)>,
    env: Vec<(String, String)>,
}

pub struct Output {
    pub status: i32,
    pub log: String,
}

const SCRIPT: &str = r#"R=$1; shift; hostname localhost; mount -t proc proc $R/proc
mount -t tmpfs -o mode=755,size=1m tmpfs $R/dev
for n in null zero full random urandom tty; do : > $R/dev/$n; mount --bind /dev/$n $R/dev/$n; done
mkdir $R/dev/pts; mkdir -m 1777 $R/dev/shm; ln -s /proc/self/fd $R/dev/fd; ln -s fd/0 $R/dev/stdin; ln -s fd/1 $R/dev/stdout; ln -s fd/2 $R/dev/stderr
mount -t tmpfs -o mode=755 tmpfs $R/run; mkdir -m 1777 $R/run/lock; mount -t tmpfs -o mode=1777 tmpfs $R/tmp
N=$1; shift; for i in $(seq $N); do mount --bind $1 $R$2; shift 2; done
exec chroot $R "$@""#;

impl Fence {
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), binds: Vec::new(), env: Vec::new() }
    }
    pub fn bind(mut self, host: &Path, inside: &str) -> Self {
        self.binds.push((host.to_owned(), inside.to_owned()));
        self
    }
    pub fn env(mut self, key: &str, value: &str) -> Self {
        self.env.push((key.to_owned(), value.to_owned()));
        self
    }
    pub fn run(&self, argv: &[&str]) -> Result<Output> {
        let mut c = Command::new("unshare");
        c.args("-m -p -n -u -i --fork --kill-child --propagation private /bin/bash -c".split(' '))
            .arg(SCRIPT)
            .arg("--");
        c.arg(&self.root).arg(self.binds.len().to_string());
        for (host, inside) in &self.binds {
            c.arg(host).arg(inside);
        }
        let out = c
            .args(argv)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .envs(self.env.iter().map(|(k, v)| (k, v)))
            .stdin(std::process::Stdio::null())
            .output()
            .map_err(|e| Error::host("cannot start the fence").because(e))?;
        let log = [out.stdout, out.stderr].concat();
        Ok(Output { status: out.status.code().unwrap_or(255), log: String::from_utf8_lossy(&log).into_owned() })
    }
}
