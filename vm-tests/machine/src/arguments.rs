//! What a machine is made of, and QEMU's command line for it (qemu(1)). Nothing is left to QEMU's defaults.

use crate::{
    accel::{Accelerator, AcceleratorKind},
    credentials::{Credential, SHELL_PORT},
    hardware::MachineHardware,
};
use diorite_host::tools::ToolsTree;
use diorite_model::{Digest, Error, Result};
use std::{
    os::fd::{OwnedFd, RawFd},
    path::{Path, PathBuf},
};

/// How a machine starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Boot {
    /// UEFI firmware starts what is on the disk: what a hypervisor does.
    Firmware,
    /// The same with Secure Boot enforced, and the keys in it that machines are sold with: it starts only what they
    /// have signed.
    SecureBoot,
    /// Secure Boot enforced with the keys that the disk brings: the firmware of a new machine has none, and the disk's boot loader
    /// gives it those that are on the disk, before anything else.
    OwnKeys,
    /// QEMU loads a kernel by itself; only for trying the harness.
    Kernel {
        /// Kernel.
        kernel: PathBuf,
        /// Initial RAM disk.
        initrd: PathBuf,
        /// Command line.
        command_line: String,
    },
}

/// What is on a machine's second disk when it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Second {
    /// Nothing; its size in bytes.
    Blank(u64),
    /// What is in this raw file. It is opened read-only; writes go to an overlay.
    Holding(PathBuf),
}

/// A further disk of a machine, on virtio-blk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataDisk {
    /// Its serial number, at most 20 bytes.
    pub serial: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// With an ext4 file system of this label or UUID on the whole of it; else it is empty.
    pub filesystem: Option<Ext4Name>,
}

/// How an ext4 file system is told from others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ext4Name {
    /// By its label.
    Label(String),
    /// By its UUID.
    Uuid(String),
}

/// A machine to start.
#[derive(Debug)]
pub struct MachineSpec {
    /// QEMU and firmware.
    pub tools: ToolsTree,
    /// What runs the instructions.
    pub accelerator: Accelerator,
    /// How the disk and the network cards are attached.
    pub hardware: MachineHardware,
    /// The raw disk. It is opened read-only; writes go to an overlay.
    pub disk: PathBuf,
    /// A second disk, on virtio-scsi.
    pub second: Option<Second>,
    /// Further disks.
    pub data: Vec<DataDisk>,
    /// A disc in a drive on virtio-scsi: this file.
    pub disc: Option<PathBuf>,
    /// A TPM 2.0 whose state is in this directory, which is made when it is not there: the same directory is the same TPM.
    pub tpm: Option<PathBuf>,
    /// How to start.
    pub boot: Boot,
    /// MiB of memory.
    pub memory: u32,
    /// Processors.
    pub cpus: u32,
    /// The UUID that the firmware tells; the same one for every machine where none is said.
    pub uuid: Option<String>,
    /// Said to the guest through SMBIOS.
    pub credentials: Vec<Credential>,
    /// The cables' far ends, one network card each: connected stream sockets.
    pub network: Vec<OwnedFd>,
    /// MachineHardware addresses of the cards; those that have none here count from 52:54:00:12:34:56.
    pub macs: Vec<String>,
    /// A directory of this machine's own: overlay, firmware variables, console.log. Must exist.
    pub directory: PathBuf,
}

/// System UUID: some value that is the same in every run, so that the machine's identity is.
const UUID: &str = "6c0e1ad2-3c4b-4b8e-9b0d-1f2e3d4c5b6a";

/// The processor that is emulated: Proxmox VE's default, x86-64-v2-AES (qemu-server, CPUConfig.pm), and with AES the
/// carry-less multiplication that every real processor has beside it: Linux's aesni_intel takes it for granted, and a
/// hypervisor's guest can use it whatever it is told. Fewer instructions are emulated faster; and no kernel takes this one
/// for a processor that needs page tables of its own for programs, which under emulation cost every system call two flushes
/// of the TLB.
const EMULATED: &str = "qemu64,+aes,+pclmulqdq,+popcnt,+pni,+sse4.1,+sse4.2,+ssse3";

/// What the guest writes to its disks, and the firmware's variables; all qcow2.
pub(crate) const OVERLAY: &str = "overlay.qcow2";
pub(crate) const SECOND: &str = "second.qcow2";
const VARIABLES: &str = "variables.qcow2";

/// Name of the file of one of the further disks.
fn data(number: usize) -> String {
    format!("data-{number}.qcow2")
}

/// Descriptors that QEMU inherits.
pub(crate) struct Descriptors<'a> {
    pub console: RawFd,
    pub qmp: RawFd,
    pub shell: RawFd,
    pub tpm: Option<RawFd>,
    pub network: &'a [RawFd],
}

/// A value inside a comma-separated QEMU option: commas are doubled.
fn escaped(path: &Path) -> String {
    path.display().to_string().replace(',', ",,")
}

impl Boot {
    /// The firmware and its variables as they are when a machine is new, in the tools tree.
    pub(crate) fn firmware(&self) -> Option<[&'static str; 2]> {
        match self {
            Self::Firmware => Some(["usr/share/OVMF/OVMF_CODE_4M.fd", "usr/share/OVMF/OVMF_VARS_4M.fd"]),
            Self::SecureBoot => Some(["usr/share/OVMF/OVMF_CODE_4M.secboot.fd", "usr/share/OVMF/OVMF_VARS_4M.ms.fd"]),
            Self::OwnKeys => Some(["usr/share/OVMF/OVMF_CODE_4M.secboot.fd", "usr/share/OVMF/OVMF_VARS_4M.fd"]),
            Self::Kernel { .. } => None,
        }
    }
}

impl MachineSpec {
    /// Names of the files in its directory that hold what the guest has written, and the moments that were kept.
    pub fn files(&self) -> Vec<String> {
        let mut all = vec![OVERLAY.to_owned()];
        all.extend(self.second.as_ref().map(|_| SECOND.to_owned()));
        all.extend((0..self.data.len()).map(data));
        all.extend(self.boot.firmware().map(|_| VARIABLES.to_owned()));
        all
    }

    /// What a moment of this machine belongs to, besides the bytes of its disks: QEMU's version, every argument but
    /// numbers of descriptors and places of files, the firmware, and the processor where it is the host's own. Each is a
    /// line `NAME VALUE`.
    pub fn kind(&self) -> Result<Vec<String>> {
        let network = vec![0; self.network.len().max(self.macs.len())];
        let tpm = self.tpm.as_ref().map(|_| 0);
        let mut moved = Self { directory: "/".into(), disk: "/disk".into(), ..self.likeness() };
        if let Some(Second::Holding(disk)) = &mut moved.second {
            *disk = "/second".into();
        }
        if let Some(disc) = &mut moved.disc {
            *disc = "/disc".into();
        }
        let none = Descriptors { console: 0, qmp: 0, shell: 0, tpm, network: &network };
        let arguments = moved.arguments(&none)?.join("\u{0}");
        let root = self.tools.root().display().to_string();
        let mut all = vec![format!("arguments {}", Digest::of(arguments.replace(&root, "").as_bytes()))];
        if let Some([code, _]) = self.boot.firmware() {
            let code = self.tools.file(code)?;
            let bytes = std::fs::read(&code).map_err(|e| Error::io("the firmware cannot be read", &code, e))?;
            all.push(format!("firmware {}", Digest::of(&bytes)));
        }
        if self.accelerator.kind == AcceleratorKind::Kvm {
            let known = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
            let said = |key: &str| known.lines().find(|l| l.starts_with(key)).unwrap_or_default().to_owned();
            let processor = ["model name", "stepping", "microcode", "flags"].map(said).concat();
            all.push(format!("processor {}", Digest::of(processor.as_bytes())));
        }
        Ok(all)
    }

    /// The same machine without its cables.
    pub(crate) fn likeness(&self) -> Self {
        Self {
            tools: self.tools.clone(),
            accelerator: self.accelerator.clone(),
            disk: self.disk.clone(),
            second: self.second.clone(),
            data: self.data.clone(),
            disc: self.disc.clone(),
            tpm: self.tpm.clone(),
            boot: self.boot.clone(),
            credentials: self.credentials.clone(),
            network: Vec::new(),
            macs: self.macs.clone(),
            directory: self.directory.clone(),
            uuid: self.uuid.clone(),
            ..*self
        }
    }

    /// The overlay that takes what the guest writes.
    pub(crate) fn overlay(&self) -> PathBuf {
        self.directory.join(OVERLAY)
    }
    /// The same for the second disk.
    pub(crate) fn second_overlay(&self) -> PathBuf {
        self.directory.join(SECOND)
    }
    /// The file of one of the further disks.
    pub(crate) fn data_overlay(&self, number: usize) -> PathBuf {
        self.directory.join(data(number))
    }
    /// The machine's own copy of the firmware's variables; qcow2, so that snapshots include it.
    pub(crate) fn variables(&self) -> PathBuf {
        self.directory.join(VARIABLES)
    }

    /// Everything after the program's name.
    pub(crate) fn arguments(&self, fds: &Descriptors<'_>) -> Result<Vec<String>> {
        let mut all: Vec<String> = Vec::new();
        let mut add = |words: &[&str]| all.extend(words.iter().map(|w| (*w).to_owned()));
        add(&[
            "-nodefaults",
            "-no-user-config",
            "-display",
            "none",
            "-no-reboot",
            "-uuid",
            self.uuid.as_deref().unwrap_or(UUID),
        ]);
        // What only System Management Mode may write, no operating system can: the keys of Secure Boot.
        let guarded = if matches!(self.boot, Boot::SecureBoot | Boot::OwnKeys) { "on" } else { "off" };
        add(&[
            "-machine",
            &format!("q35,smm={guarded},vmport=off,i8042=off"),
            "-global",
            &format!("cfi.pflash01.secure={guarded}"),
            "-smp",
            &self.cpus.to_string(),
            "-m",
            &self.memory.to_string(),
        ]);
        match self.accelerator.kind {
            AcceleratorKind::Kvm => add(&["-accel", "kvm", "-cpu", "host"]),
            AcceleratorKind::Tcg => add(&["-accel", "tcg,thread=multi", "-cpu", EMULATED]),
        }
        if let Some([code, _]) = self.boot.firmware() {
            let code = escaped(&self.tools.file(code)?);
            add(&["-drive", &format!("if=pflash,unit=0,format=raw,readonly=on,file={code}")]);
            let variables = escaped(&self.variables());
            add(&["-drive", &format!("if=pflash,unit=1,format=qcow2,file={variables}")]);
        }
        if let Boot::Kernel { kernel, initrd, command_line } = &self.boot {
            add(&["-kernel", &kernel.display().to_string(), "-initrd", &initrd.display().to_string()]);
            add(&["-append", command_line]);
        }
        // What an overlay lies on is said here, whatever it says itself: it may have been made elsewhere.
        let on = |disk: &Path| format!(",backing.driver=raw,backing.file.filename={}", escaped(disk));
        let (overlay, below) = (escaped(&self.overlay()), on(&self.disk));
        add(&["-drive", &format!("if=none,id=disk,format=qcow2,cache=unsafe,discard=unmap,file={overlay}{below}")]);
        for device in self.hardware.disk.devices() {
            add(&["-device", device]);
        }
        add(&["-device", "virtio-rng-pci"]);
        if self.second.is_some() || self.disc.is_some() {
            add(&["-device", "virtio-scsi-pci,id=scsi"]);
        }
        if let Some(second) = &self.second {
            let below = match second {
                Second::Blank(_) => String::new(),
                Second::Holding(disk) => on(disk),
            };
            let second = escaped(&self.second_overlay());
            add(&[
                "-drive",
                &format!("if=none,id=second,format=qcow2,cache=unsafe,discard=unmap,file={second}{below}"),
            ]);
            add(&["-device", "scsi-hd,bus=scsi.0,drive=second"]);
        }
        for (number, disk) in self.data.iter().enumerate() {
            let (id, file) = (format!("data{number}"), escaped(&self.data_overlay(number)));
            add(&["-drive", &format!("if=none,id={id},format=qcow2,cache=unsafe,discard=unmap,file={file}")]);
            add(&["-device", &format!("virtio-blk-pci,drive={id},serial={}", disk.serial)]);
        }
        if let Some(disc) = &self.disc {
            add(&["-drive", &format!("if=none,id=disc,format=raw,readonly=on,file={}", escaped(disc))]);
            add(&["-device", "scsi-cd,bus=scsi.0,drive=disc"]);
        }
        if let Some(fd) = fds.tpm {
            add(&["-chardev", &format!("socket,id=tpm-control,fd={fd}")]);
            add(&["-tpmdev", "emulator,id=tpm,chardev=tpm-control", "-device", "tpm-crb,tpmdev=tpm"]);
        }
        for (number, fd) in fds.network.iter().enumerate() {
            add(&["-netdev", &format!("stream,id=net{number},server=off,addr.type=fd,addr.str={fd}")]);
            // No option ROM: it would ask for a network boot before the disk's turn.
            let usual = || format!("52:54:00:12:34:{:02x}", 0x56 + number);
            let mac = self.macs.get(number).cloned().unwrap_or_else(usual);
            let card = self.hardware.card.device();
            add(&["-device", &format!("{card},netdev=net{number},mac={mac},romfile=")]);
        }
        add(&["-chardev", &format!("socket,id=console,fd={}", fds.console), "-serial", "chardev:console"]);
        add(&["-chardev", &format!("socket,id=qmp,fd={}", fds.qmp), "-mon", "chardev=qmp,mode=control"]);
        add(&["-device", "virtio-serial-pci", "-chardev", &format!("socket,id=shell,fd={}", fds.shell)]);
        add(&["-device", &format!("virtserialport,chardev=shell,name={SHELL_PORT}")]);
        // The display of Proxmox VE's default, for pictures. Last, so that no other card's place depends on it.
        add(&["-device", "VGA"]);
        for credential in &self.credentials {
            add(&["-smbios", &credential.argument()]);
        }
        Ok(all)
    }
}
