//! A guest of thirty bytes that shows whether KVM runs code: written with ioctl(2) on /dev/kvm, no QEMU.
//! Interface: the kernel's Documentation/virt/kvm/api.rst; instructions: Intel SDM volume 2.
//!
//! It runs in ring 0 of long mode: says `D` on a port, does a VEX-encoded BMI2 instruction where the processor has it,
//! says `B`, counts 100,000 down, says `L` and halts. Emulating hypervisors stumble over the second or need a third
//! of a second for the third; hardware needs well under a millisecond.

use std::{
    io::Read,
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

/// A real processor needs 0.05 ms, an emulating hypervisor was seen to need from 47 to 370 ms.
const SLOWEST: Duration = Duration::from_millis(5);
/// A busy host may take the processor away in the wrong moment: the best of so many tries counts.
const TRIES: usize = 3;
/// The child is ended after so many seconds.
const LIMIT: u32 = 5;
const MEMORY: usize = 0x10000;
const CODE: usize = 0x8000;

const GET_API_VERSION: u64 = 0xAE00;
const CREATE_VM: u64 = 0xAE01;
const GET_VCPU_MMAP_SIZE: u64 = 0xAE04;
const GET_SUPPORTED_CPUID: u64 = 0xC008_AE05;
const CREATE_VCPU: u64 = 0xAE41;
const SET_USER_MEMORY_REGION: u64 = 0x4020_AE46;
const SET_TSS_ADDR: u64 = 0xAE47;
const RUN: u64 = 0xAE80;
const SET_REGS: u64 = 0x4090_AE82;
const GET_SREGS: u64 = 0x8138_AE83;
const SET_SREGS: u64 = 0x4138_AE84;
const SET_CPUID2: u64 = 0x4008_AE90;

/// Where the child got to. The number travels through the pipe.
#[repr(u8)]
#[derive(Clone, Copy)]
enum GuestStep {
    Passed = 0,
    ApiVersion,
    CreateVm,
    Memory,
    CreateVcpu,
    Registers,
    Run,
    Internal,
    Slow,
    Unexpected,
}

const STEPS: [&str; 10] = [
    "ran",
    "it speaks another version of its interface",
    "it creates no machine",
    "it takes no memory",
    "it creates no processor",
    "it takes no registers",
    "it does not enter the guest",
    "it cannot execute an ordinary instruction in ring 0 (internal error)",
    "it executes ring 0 far too slowly",
    "the guest ended in an unexpected way",
];

/// `Ok` with what was seen when guest code runs at hardware speed, else the reason to distrust it.
pub fn try_kvm() -> Result<String, String> {
    let mut seen = once();
    for _ in 1..TRIES {
        match seen {
            Err(ref reason) if reason.contains(STEPS[GuestStep::Slow as usize]) => seen = once(),
            _ => break,
        }
    }
    seen
}

fn once() -> Result<String, String> {
    let path = "/dev/kvm";
    let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CLOEXEC;
    let kvm = rustix::fs::open(path, flags, rustix::fs::Mode::empty()).map_err(|e| format!("{path}: {e}"))?;
    let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(|e| e.to_string())?;
    // SAFETY: the child calls only async-signal-safe functions, allocates nothing, and leaves by _exit.
    let pid = unsafe { libc::fork() };
    match pid {
        -1 => Err(format!("no process for the probe: {}", std::io::Error::last_os_error())),
        0 => child(&kvm, &writer),
        pid => {
            drop(writer);
            let seen = read_result(reader);
            let mut status = 0;
            // SAFETY: our own child, which ends by its alarm at the latest.
            unsafe {
                libc::kill(pid, libc::SIGKILL);
                libc::waitpid(pid, &mut status, 0);
            }
            seen
        }
    }
}

/// The child's nine bytes, or nothing when its time was up.
fn read_result(reader: OwnedFd) -> Result<String, String> {
    let mut answer = Vec::new();
    let end = Instant::now() + Duration::from_secs(u64::from(LIMIT) + 1);
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let timeout = rustix::event::Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
        let mut watched = [rustix::event::PollFd::new(&reader, rustix::event::PollFlags::IN)];
        match rustix::event::poll(&mut watched, Some(&timeout)) {
            Err(rustix::io::Errno::INTR) => continue,
            Ok(n) if n > 0 => {
                // An error reads like silence.
                let _ = std::fs::File::from(reader).take(9).read_to_end(&mut answer);
            }
            _ => {}
        }
        break;
    }
    let [step, time @ ..] = &answer[..] else {
        return Err(format!("/dev/kvm opens, but a guest of 30 bytes did not end within {LIMIT} s"));
    };
    let micros = time.first_chunk::<8>().map_or(0, |t| u64::from_ne_bytes(*t));
    let milliseconds = micros as f64 / 1000.0;
    match STEPS.get(usize::from(*step)) {
        Some(_) if *step == 0 => Ok(format!("a guest ran: 100,000 loops of ring 0 in {milliseconds:.2} ms")),
        Some(what) if *step == GuestStep::Slow as u8 => {
            Err(format!("/dev/kvm opens, but {what}: 100,000 loops in {milliseconds:.0} ms"))
        }
        what => Err(format!("/dev/kvm opens, but {}", what.unwrap_or(&"it fails"))),
    }
}

fn child(kvm: &OwnedFd, writer: &OwnedFd) -> ! {
    use std::os::fd::AsRawFd;
    // SAFETY: alarm, write and _exit are async-signal-safe; SIGALRM's default action ends us even inside KVM_RUN.
    unsafe {
        libc::signal(libc::SIGALRM, libc::SIG_DFL);
        libc::alarm(LIMIT);
        let (step, time) = guest(kvm.as_raw_fd());
        let mut answer = [0; 9];
        answer[0] = step as u8;
        answer[1..].copy_from_slice(&(time.as_micros() as u64).to_ne_bytes());
        libc::write(writer.as_raw_fd(), answer.as_ptr().cast(), answer.len());
        libc::_exit(0)
    }
}

#[repr(C)]
struct MemoryRegion {
    slot: u32,
    flags: u32,
    guest: u64,
    size: u64,
    host: u64,
}
#[repr(C)]
#[derive(Clone, Copy)]
struct KvmSegment {
    base: u64,
    limit: u32,
    selector: u16,
    kind: u8,
    present: u8,
    dpl: u8,
    db: u8,
    s: u8,
    l: u8,
    g: u8,
    avl: u8,
    unusable: u8,
    padding: u8,
}
#[repr(C)]
struct DescriptorTable {
    base: u64,
    limit: u16,
    padding: [u16; 3],
}
#[repr(C)]
struct SystemRegisters {
    segments: [KvmSegment; 8], // cs ds es fs gs ss tr ldt
    tables: [DescriptorTable; 2],
    cr0: u64,
    cr2: u64,
    cr3: u64,
    cr4: u64,
    cr8: u64,
    efer: u64,
    apic_base: u64,
    interrupts: [u64; 4],
}
#[repr(C)]
struct Cpuid {
    count: u32,
    padding: u32,
    // function, index, flags, eax, ebx, ecx, edx, three of padding
    entries: [[u32; 10]; 128],
}

/// Runs the guest. No allocation: we are between fork and exit.
///
/// # Safety
/// Must be called in a process that ends soon: mappings and descriptors are left to the kernel.
unsafe fn guest(kvm: i32) -> (GuestStep, Duration) {
    let none = Duration::ZERO;
    // SAFETY: every ioctl gets the structure its number names, and the mappings are as long as asked for.
    unsafe {
        if libc::ioctl(kvm, GET_API_VERSION, 0) != 12 {
            return (GuestStep::ApiVersion, none);
        }
        let vm = libc::ioctl(kvm, CREATE_VM, 0);
        if vm < 0 {
            return (GuestStep::CreateVm, none);
        }
        // Old processors need it, others ignore it.
        libc::ioctl(vm, SET_TSS_ADDR, 0xfffb_d000_u64);
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let memory =
            libc::mmap(std::ptr::null_mut(), MEMORY, protection, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0);
        if memory == libc::MAP_FAILED {
            return (GuestStep::Memory, none);
        }
        let mut cpuid = Cpuid { count: 128, padding: 0, entries: [[0; 10]; 128] };
        let known = libc::ioctl(kvm, GET_SUPPORTED_CPUID, &mut cpuid) == 0;
        let count = (cpuid.count as usize).min(128);
        let bmi2 = known && cpuid.entries[..count].iter().any(|e| e[0] == 7 && e[1] == 0 && e[4] & 1 << 8 != 0);
        write_guest(std::slice::from_raw_parts_mut(memory.cast(), MEMORY), bmi2);
        let region = MemoryRegion { slot: 0, flags: 0, guest: 0, size: MEMORY as u64, host: memory as u64 };
        if libc::ioctl(vm, SET_USER_MEMORY_REGION, &region) != 0 {
            return (GuestStep::Memory, none);
        }
        let vcpu = libc::ioctl(vm, CREATE_VCPU, 0);
        let size = libc::ioctl(kvm, GET_VCPU_MMAP_SIZE, 0);
        if vcpu < 0 || size < 4096 {
            return (GuestStep::CreateVcpu, none);
        }
        let run = libc::mmap(std::ptr::null_mut(), size as usize, protection, libc::MAP_SHARED, vcpu, 0);
        if run == libc::MAP_FAILED {
            return (GuestStep::CreateVcpu, none);
        }
        if known {
            libc::ioctl(vcpu, SET_CPUID2, &cpuid);
        }
        if !registers(vcpu) {
            return (GuestStep::Registers, none);
        }
        execute(vcpu, run.cast())
    }
}

/// Page tables (the first 2 MiB, one large page) and the code.
fn write_guest(memory: &mut [u8], bmi2: bool) {
    for (at, entry) in [(0x2000, 0x3003_u64), (0x3000, 0x4003), (0x4000, 0x83)] {
        memory[at..at + 8].copy_from_slice(&entry.to_le_bytes());
    }
    let rorx: &[u8] = if bmi2 { &[0xC4, 0xE3, 0x7B, 0xF0, 0xC3, 7] } else { &[] }; // rorx eax, ebx, 7
    let parts: [&[u8]; 7] = [
        &[0xB0, b'D', 0xE6, 0x10], // mov al, 'D'; out 0x10, al
        rorx,
        &[0xB0, b'B', 0xE6, 0x10],
        &[0xB9, 0xA0, 0x86, 1, 0], // mov ecx, 100000
        &[0xFF, 0xC9, 0x75, 0xFC], // dec ecx; jnz back
        &[0xB0, b'L', 0xE6, 0x10],
        &[0xF4], // hlt
    ];
    let mut at = CODE;
    for part in parts {
        memory[at..at + part.len()].copy_from_slice(part);
        at += part.len();
    }
}

/// Long mode, flat, ring 0.
///
/// # Safety
/// `vcpu` is a virtual processor.
unsafe fn registers(vcpu: i32) -> bool {
    let segment = KvmSegment {
        base: 0,
        limit: u32::MAX,
        selector: 16,
        kind: 3,
        present: 1,
        dpl: 0,
        db: 1,
        s: 1,
        l: 0,
        g: 1,
        avl: 0,
        unusable: 0,
        padding: 0,
    };
    // SAFETY: the structures have the sizes that the ioctl numbers name (312 and 144 bytes).
    unsafe {
        let mut system: SystemRegisters = std::mem::zeroed();
        if libc::ioctl(vcpu, GET_SREGS, &mut system) != 0 {
            return false;
        }
        system.segments[0] = KvmSegment { selector: 8, kind: 11, db: 0, l: 1, ..segment };
        system.segments[1..6].fill(segment);
        system.cr3 = 0x2000;
        system.cr4 = 1 << 5; // PAE
        system.cr0 = 1 | 1 << 4 | 1 << 31; // PE, ET, PG
        system.efer = 1 << 8 | 1 << 10; // LME, LMA
        let mut general = [0_u64; 18];
        general[6] = 0x7000; // rsp
        general[16] = CODE as u64; // rip
        general[17] = 2; // rflags
        libc::ioctl(vcpu, SET_SREGS, &system) == 0 && libc::ioctl(vcpu, SET_REGS, &general) == 0
    }
}

/// Enters the guest until it halts; the time is that of the loop.
///
/// # Safety
/// `run` is the processor's shared page (struct kvm_run).
unsafe fn execute(vcpu: i32, run: *const u8) -> (GuestStep, Duration) {
    let none = Duration::ZERO;
    let (mut said, mut begun, mut time) = (0, Instant::now(), none);
    for _ in 0..8 {
        // SAFETY: offsets of struct kvm_run: exit_reason at 8, the port's data offset at 40.
        unsafe {
            if libc::ioctl(vcpu, RUN, 0) != 0 {
                return (GuestStep::Run, none);
            }
            match run.add(8).cast::<u32>().read() {
                2 => {
                    let data = run.add(run.add(40).cast::<u64>().read() as usize).read();
                    match (said, data) {
                        (0, b'D') => {}
                        (1, b'B') => begun = Instant::now(),
                        (2, b'L') => time = begun.elapsed(),
                        _ => return (GuestStep::Unexpected, none),
                    }
                    said += 1;
                }
                5 if said == 3 && time <= SLOWEST => return (GuestStep::Passed, time),
                5 if said == 3 => return (GuestStep::Slow, time),
                17 => return (GuestStep::Internal, none),
                _ => return (GuestStep::Unexpected, none),
            }
        }
    }
    (GuestStep::Unexpected, none)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structures_have_the_sizes_of_the_interface() {
        assert_eq!(size_of::<SystemRegisters>() as u64, SET_SREGS >> 16 & 0x3fff);
        assert_eq!(size_of::<[u64; 18]>() as u64, SET_REGS >> 16 & 0x3fff);
        assert_eq!(size_of::<MemoryRegion>() as u64, SET_USER_MEMORY_REGION >> 16 & 0x3fff);
        assert_eq!(size_of::<KvmSegment>(), 24);
    }

    #[test]
    fn a_silent_child_is_a_reason_too() {
        let (reader, writer) = rustix::pipe::pipe().expect("pipe");
        drop(writer);
        assert!(read_result(reader).expect_err("silence").contains("did not end"));
        let (reader, writer) = rustix::pipe::pipe().expect("pipe");
        let mut slow = vec![GuestStep::Slow as u8];
        slow.extend(370_000_u64.to_ne_bytes());
        rustix::io::write(&writer, &slow).expect("write");
        drop(writer);
        assert!(read_result(reader).expect_err("slow").ends_with("100,000 loops in 370 ms"));
    }
}
