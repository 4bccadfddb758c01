//! What a machine's disk and its network cards are: those of a hypervisor, or such as physical machines have.

/// The disk's bus and the cards' model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MachineHardware {
    /// How the disk is attached.
    pub disk: DiskBus,
    /// Every network card.
    pub card: NetworkCard,
}

/// How a disk is attached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DiskBus {
    /// virtio-blk.
    #[default]
    Virtio,
    /// SATA, on an AHCI controller.
    Ahci,
    /// An NVMe controller. A machine with one cannot be kept in a snapshot (QEMU's nvme does not migrate).
    Nvme,
    /// A USB storage device, on an xHCI controller.
    Usb,
}

/// A network card's model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum NetworkCard {
    /// virtio-net.
    #[default]
    Virtio,
    /// Intel 82574.
    E1000e,
    /// Intel 82576.
    Igb,
}

impl DiskBus {
    /// QEMU's devices for the drive `disk`, from which the firmware starts first.
    pub(crate) fn devices(self) -> &'static [&'static str] {
        match self {
            Self::Virtio => &["virtio-blk-pci,drive=disk,bootindex=1"],
            // The machine q35 has the controller.
            Self::Ahci => &["ide-hd,drive=disk,bus=ide.0,bootindex=1"],
            Self::Nvme => &["nvme,drive=disk,serial=diorite,bootindex=1"],
            Self::Usb => &["qemu-xhci,id=usb", "usb-storage,drive=disk,bus=usb.0,bootindex=1"],
        }
    }

    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Virtio => "virtio",
            Self::Ahci => "SATA",
            Self::Nvme => "NVMe",
            Self::Usb => "USB",
        }
    }

    /// The kernel's driver of the device that the disk is attached to.
    pub fn driver(self) -> &'static str {
        match self {
            Self::Virtio => "virtio_blk",
            Self::Ahci => "ahci",
            Self::Nvme => "nvme",
            Self::Usb => "usb-storage",
        }
    }
}

impl NetworkCard {
    /// QEMU's name of the device.
    pub(crate) fn device(self) -> &'static str {
        match self {
            Self::Virtio => "virtio-net-pci",
            Self::E1000e => "e1000e",
            Self::Igb => "igb",
        }
    }

    /// The kernel's driver.
    pub fn driver(self) -> &'static str {
        match self {
            Self::Virtio => "virtio_net",
            Self::E1000e => "e1000e",
            Self::Igb => "igb",
        }
    }
}
