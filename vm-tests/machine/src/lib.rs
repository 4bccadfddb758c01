//! Boots a disk in QEMU as a hypervisor would, and lets it be watched: console, QMP, an injected root shell,
//! snapshots. The disk itself is never written.
//!
//! ```text
//! MachineSpec ── Machine::start ── QEMU ──┬─ console   serial port → console.log, alarms
//!                                         ├─ qmp       status, block statistics, savevm/loadvm
//!                                         ├─ shell     virtio-serial, a unit injected through SMBIOS
//!                                         ├─ tpm       swtpm, where the machine has one
//!                                         └─ network   a socket of the caller's: the lab
//! ```

#![deny(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

pub mod accel;
mod arguments;
mod budget;
pub mod console;
pub mod credentials;
pub mod disks;
mod hardware;
mod machine;
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)] // the guest that measures the processor is run by ioctls of KVM
mod microguest;
mod pace;
mod qmp;
mod shell;
mod tpm;
mod watch;

pub use accel::{Accelerator, AcceleratorKind};
pub use arguments::{Boot, DataDisk, Ext4Name, MachineSpec, Second};
pub use budget::{Budget, Share};
pub use console::{Alarm, AlarmKind, Console};
pub use hardware::{DiskBus, MachineHardware, NetworkCard};
pub use machine::Machine;
pub use pace::Pace;
pub use shell::Output;
pub use watch::Watch;
