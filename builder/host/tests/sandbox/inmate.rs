//! The program inside the sandbox: says what it sees, or does what it is told.

use serde::{Deserialize, Serialize};
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::ExitCode;

/// What the world looks like from inside.
#[derive(Debug, Serialize, Deserialize)]
pub struct View {
    pub root: Vec<String>,
    pub dev: Vec<String>,
    pub shm: u32,
    pub environment: Vec<String>,
    pub cwd: String,
    pub ids: (u32, u32),
    pub umask: u32,
    pub hostname: String,
    pub capabilities: u64,
    pub stdin: String,
    pub null_is_device: bool,
    /// What could be done that must not be possible.
    pub escapes: Vec<String>,
    /// Processes visible in /proc, when there is one.
    pub processes: Vec<u32>,
    pub mounts: String,
}

pub fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments[0].as_str() {
        "view" => println!("{}", serde_json::to_string(&view()).unwrap()),
        "exit" => return ExitCode::from(arguments[1].parse::<u8>().unwrap()),
        "signal" => {
            // SAFETY: ends this process.
            unsafe { libc::raise(libc::SIGKILL) };
        }
        "shout" => {
            println!("to stdout");
            eprintln!("to stderr");
        }
        "litter" => {
            for directory in ["/run", "/tmp", "/dev"] {
                fs::create_dir(Path::new(directory).join("directory")).unwrap();
                fs::write(Path::new(directory).join("directory/file"), "litter").unwrap();
            }
            fs::write("/dev/null", "gone").unwrap();
            fs::write("/etc/made", "stays").unwrap();
        }
        "linger" => linger(),
        "burn" => {
            let mut n = 1u64;
            while cpu() < 0.2 {
                n = n.wrapping_mul(3);
            }
            assert_ne!(n, 0);
        }
        "read" => print!("{}", fs::read_to_string(&arguments[1]).unwrap()),
        other => panic!("{other}?"),
    }
    ExitCode::SUCCESS
}

fn cpu() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a valid out parameter.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Leaves a process in a session of its own, which would live for ever, holding stdout.
fn linger() {
    // SAFETY: the child only makes system calls.
    unsafe {
        if libc::fork() == 0 {
            libc::setsid();
            loop {
                libc::pause();
            }
        }
    }
}

fn names(path: &str) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(path).into_iter().flatten().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn view() -> View {
    let mut stdin = String::new();
    std::io::Read::read_to_string(&mut std::io::stdin(), &mut stdin).unwrap();
    let mut sets = [0u32; 6];
    let mut name = [0u8; 65];
    // SAFETY: valid buffers of the sizes the calls expect.
    let (ids, umask) = unsafe {
        libc::syscall(libc::SYS_capget, [0x2008_0522u32, 0].as_ptr(), sets.as_mut_ptr());
        libc::gethostname(name.as_mut_ptr().cast(), name.len());
        ((libc::getuid(), libc::getgid()), libc::umask(0))
    };
    let null = fs::metadata("/dev/null").unwrap();
    View {
        root: names("/"),
        dev: names("/dev"),
        shm: fs::metadata("/dev/shm").unwrap().permissions().mode(),
        environment: std::env::vars().map(|(k, v)| format!("{k}={v}")).collect(),
        cwd: std::env::current_dir().unwrap().display().to_string(),
        ids,
        umask,
        hostname: String::from_utf8_lossy(&name).trim_end_matches('\0').to_owned(),
        capabilities: u64::from(sets[0]) | u64::from(sets[3]) << 32,
        stdin,
        null_is_device: null.file_type().is_char_device() && null.rdev() == libc::makedev(1, 3),
        escapes: escapes(),
        processes: names("/proc").iter().filter_map(|n| n.parse().ok()).collect(),
        mounts: fs::read_to_string("/proc/self/mounts").unwrap_or_default(),
    }
}

/// Tries what the sandbox forbids.
fn escapes() -> Vec<String> {
    let mut done = Vec::new();
    let mut attempt = |what: &str, worked: bool| {
        if worked {
            done.push(what.to_owned());
        }
    };
    attempt(
        "connect to a loopback service",
        std::net::TcpListener::bind("127.0.0.1:0")
            .is_ok_and(|l| l.local_addr().is_ok_and(|a| std::net::TcpStream::connect(a).is_ok())),
    );
    // SAFETY: system calls on valid strings.
    unsafe {
        attempt("mknod", libc::mknod(c"/node".as_ptr(), libc::S_IFCHR | 0o600, libc::makedev(1, 3)) == 0);
        attempt("mount", libc::mount(c"none".as_ptr(), c"/tmp".as_ptr(), c"tmpfs".as_ptr(), 0, std::ptr::null()) == 0);
        attempt("set the host name", libc::sethostname(c"x".as_ptr(), 1) == 0);
        attempt("reach a packet socket", libc::socket(libc::AF_PACKET, libc::SOCK_RAW, 0) >= 0);
    }
    attempt("turn a kernel switch", fs::write("/proc/sys/kernel/core_pattern", "core").is_ok());
    // A Unix socket must work: scripts use them.
    attempt("be without a Unix socket", std::os::unix::net::UnixStream::pair().is_err());
    done
}
