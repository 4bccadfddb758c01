//! `[image]`, `[kernel]`, `[disk]`.

use crate::Result;
use crate::profile::{
    field::*,
    section::Section,
    values,
    written::{self, Written, word},
};
use crate::purpose::Purpose;
use crate::recipe::*;

/// The time files are clamped to when a profile names none: 2025-10-09T08:53:20Z.
const EPOCH: i64 = 1_760_000_000;

pub(crate) const IMAGE: &[Field] = &[
    text("name", &values::IMAGE_NAME, "IMAGE_ID of os-release").needed(),
    text("version", &values::IMAGE_VERSION, "IMAGE_VERSION of os-release").needed(),
    text("hostname", &values::HOST_NAME, "host name until DHCP or whoever starts the machine gives it another one")
        .or_said("the image's name"),
    integer("epoch", 946_684_800, 4_102_444_800, "latest time of any file, seconds since 1970").or_number(EPOCH),
    text(
        "purpose",
        &values::PROSE,
        "what the machine is for; `diorite doc` says it, and no byte of the image depends on it",
    ),
    texts("owners", &values::PROSE, "who answers for the machine; for `diorite doc`"),
    texts("contacts", &values::PROSE, "whom to call or to write to; for `diorite doc`"),
];
pub(crate) const KERNEL: &[Field] = &[
    choice("flavour", FLAVOURS, "which of Debian's kernels").or_said("`cloud`; on a physical machine `generic`"),
    text(
        "package",
        &values::PACKAGE,
        "another kernel in place of these: a package of the archive or of `archive.debs`",
    ),
    words("command_line", &values::KERNEL_WORD, "words, each one string"),
    texts("modules", &values::MODULE, "modules loaded at boot, besides those that devices ask for"),
];
const FLAVOURS: &[(&str, &str)] = &[
    ("cloud", "small, for virtual machines: virtio, Hyper-V, VMware, Xen, NVMe"),
    ("generic", "with every driver Debian has"),
];
pub(crate) const DISK: &[Field] = &[
    text("esp", &values::SIZE, "EFI system partition").or_text("128M"),
    text("root", &values::SIZE, "each of the two root slots").or_text("512M"),
    text("verity", &values::SIZE, "each of the two verity slots; `8M` is enough for a root of 1015 MiB").or_text("8M"),
];

pub(crate) fn image(top: &Section) -> Result<Image> {
    let t = top.table("image")?.ok_or_else(|| top.missing("image"))?;
    let name = t.needed("name")?.value;
    Ok(Image {
        hostname: t.text("hostname")?.map_or_else(|| name.trim_end_matches('-').to_owned(), |h| h.value),
        name,
        version: t.needed("version")?.value,
        epoch: t.needed_number("epoch")?.value,
    })
}

/// What the same table says to people.
pub(crate) fn purpose(top: &Section) -> Result<Purpose> {
    let t = top.table("image")?.ok_or_else(|| top.missing("image"))?;
    let purpose = t.text("purpose")?.map(|p| p.value);
    Ok(Purpose { purpose, owners: t.plain("owners")?, contacts: t.plain("contacts")? })
}

/// `metal`: whether it starts a physical machine.
pub(crate) fn kernel(top: &Section, metal: bool) -> Result<Kernel> {
    let t = top.table_or_empty("kernel")?;
    let (flavour, package) = (t.text("flavour")?, t.text("package")?);
    if let (Some(flavour), Some(package)) = (&flavour, &package) {
        let what = "`kernel` has `flavour` and `package`, and an image has one kernel";
        let second = format!("`flavour` is at {}\n{}", t.files.place(flavour.span), t.files.show(flavour.span));
        let error = t.files.error(package.span, what).detail(format!("{}\n{second}", t.files.show(package.span)));
        return Err(error.hint("remove one of them"));
    }
    let generic = flavour.map_or(metal, |f| f.value == "generic");
    let flavour = if generic { Flavour::Generic } else { Flavour::Cloud };
    Ok(Kernel {
        flavour,
        package: package.map(|p| p.value),
        command_line: t.plain("command_line")?,
        modules: t.plain("modules")?,
    })
}

pub(crate) fn disk(top: &Section) -> Result<Disk> {
    let (t, m) = (top.table_or_empty("disk")?, 1 << 20);
    let disk =
        Disk { esp: amount(&t, "esp", 64 * m)?, root: amount(&t, "root", 64 * m)?, verity: amount(&t, "verity", m)? };
    // A SHA-256 tree over 4 KiB blocks: 1/128 of the data and 1/128 of that again.
    if disk.verity < disk.root / 127 {
        let error = t.files.error(t.key("verity").unwrap_or(t.span), "the verity slot is too small for the root slot");
        return Err(error.hint(format!("allowed: {}M or more", (disk.root / 127).div_ceil(m))));
    }
    Ok(disk)
}

/// Bytes of an amount with a default, `least` of them or more.
pub(crate) fn amount(t: &Section, key: &str, least: u64) -> Result<u64> {
    let text = t.needed(key)?;
    let bytes = values::size(&text.value).expect("its form was checked");
    if bytes < least {
        return Err(t
            .files
            .error(text.span, format!("`{}.{key}` is too small", t.path))
            .hint(format!("allowed: {}M or more", least >> 20)));
    }
    Ok(bytes)
}

/// The table that says this.
pub(crate) fn image_written(image: &Image) -> Written {
    Written::default()
        .with("name", &*image.name)
        .with("version", &*image.version)
        .with("hostname", &*image.hostname)
        .with("epoch", i64::try_from(image.epoch).unwrap_or(i64::MAX))
}

pub(crate) fn kernel_written(kernel: &Kernel) -> Written {
    Written::default()
        .maybe("flavour", kernel.package.is_none().then(|| word(&kernel.flavour)))
        .maybe("package", kernel.package.as_deref())
        .list("command_line", &kernel.command_line)
        .list("modules", &kernel.modules)
}

pub(crate) fn disk_written(disk: &Disk) -> Written {
    Written::default()
        .with("esp", written::amount(disk.esp))
        .with("root", written::amount(disk.root))
        .with("verity", written::amount(disk.verity))
}
