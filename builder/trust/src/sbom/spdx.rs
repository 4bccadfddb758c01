//! ImageInventory → SPDX 2.3 as JSON (spdx.github.io/spdx-spec/v2.3).
//!
//! A package of SPDX that was analysed names all its files. That is true of no package here but one: for each root there is a
//! package of those files that nothing in the lock brought as they are, with the verification code of exactly them.

use super::inventory::{Component, ComponentKind, ComponentRelation, IMAGE, ImageInventory, InventoryFile};
use diorite_model::Digest;
use serde::Serialize;
use sha1::{Digest as _, Sha1};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What nobody has looked at.
const NOASSERTION: &str = "NOASSERTION";
const DOCUMENT: &str = "SPDXRef-DOCUMENT";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SpdxDocument<'a> {
    spdx_version: &'a str,
    data_license: &'a str,
    #[serde(rename = "SPDXID")]
    id: &'a str,
    name: String,
    document_namespace: String,
    creation_info: CreationInfo,
    packages: Vec<SpdxPackage>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    files: Vec<SpdxFile>,
    relationships: Vec<Relationship>,
}

#[derive(Serialize)]
struct CreationInfo {
    created: String,
    creators: Vec<String>,
}

#[derive(Serialize, Default)]
#[serde(rename_all = "camelCase")]
struct SpdxPackage {
    name: String,
    #[serde(rename = "SPDXID")]
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    version_info: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    package_file_name: Option<String>,
    supplier: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    originator: Option<String>,
    download_location: String,
    files_analyzed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    package_verification_code: Option<VerificationCode>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    checksums: Vec<SpdxChecksum>,
    #[serde(skip_serializing_if = "Option::is_none")]
    homepage: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_info: Option<String>,
    license_concluded: String,
    license_declared: String,
    copyright_text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    external_refs: Vec<SpdxReference>,
    #[serde(skip_serializing_if = "Option::is_none")]
    primary_package_purpose: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct VerificationCode {
    package_verification_code_value: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SpdxChecksum {
    algorithm: &'static str,
    checksum_value: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SpdxReference {
    reference_category: &'static str,
    reference_type: &'static str,
    reference_locator: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SpdxFile {
    file_name: String,
    #[serde(rename = "SPDXID")]
    id: String,
    checksums: Vec<SpdxChecksum>,
    comment: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Relationship {
    spdx_element_id: String,
    relationship_type: &'static str,
    related_spdx_element: String,
}

/// The document, with a newline at its end.
pub fn spdx(inventory: &ImageInventory) -> Vec<u8> {
    let image = &inventory.image;
    let mut packages = vec![whole(inventory)];
    packages.extend(inventory.components.iter().map(|(id, component)| package(id, component)));
    let groups = groups(inventory);
    packages.extend(groups.iter().map(|group| group.package(inventory)));
    let described = Relationship::new(DOCUMENT, "DESCRIBES", &spdx_id(IMAGE));
    let mut relationships = vec![described];
    for group in &groups {
        relationships.push(Relationship::new(&spdx_id(&group.place), "CONTAINS", &group.id()));
        let files = group.files.iter().map(|(id, _)| Relationship::new(&group.id(), "CONTAINS", &spdx_id(id)));
        relationships.extend(files);
    }
    for (one, relation, other) in &inventory.relations {
        let word = match relation {
            ComponentRelation::Contains if inventory.files.contains_key(other) => continue,
            ComponentRelation::Contains => "CONTAINS",
            ComponentRelation::DependsOn => "DEPENDS_ON",
            ComponentRelation::MadeOf => "GENERATED_FROM",
        };
        relationships.push(Relationship::new(&spdx_id(one), word, &spdx_id(other)));
    }
    let name = format!("{}-{}", image.name, image.version);
    let document = SpdxDocument {
        spdx_version: "SPDX-2.3",
        data_license: "CC0-1.0",
        id: DOCUMENT,
        document_namespace: format!("urn:uuid:{}", inventory.uuid("spdx")),
        name,
        creation_info: CreationInfo {
            created: inventory.created(),
            creators: vec![format!("Tool: diorite-{}", env!("CARGO_PKG_VERSION"))],
        },
        packages,
        files: inventory.files.iter().map(|(id, about)| file(id, about)).collect(),
        relationships,
    };
    let mut json = serde_json::to_vec_pretty(&document).expect("our own types serialize");
    json.push(b'\n');
    json
}

/// An id of SPDX: letters, digits, `.` and `-` of ours, and the beginning of its digest, so that no two are the same.
fn spdx_id(id: &str) -> String {
    if id == IMAGE {
        return "SPDXRef-image".into();
    }
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
    let shown: String = id.chars().map(plain).collect();
    format!("SPDXRef-{shown}-{}", Digest::of(id.as_bytes()).short(12))
}

/// The image.
fn whole(inventory: &ImageInventory) -> SpdxPackage {
    let image = &inventory.image;
    let root_hash = SpdxReference {
        reference_category: "OTHER",
        reference_type: "dm-verity-root-hash",
        reference_locator: image.root_hash.to_string(),
    };
    SpdxPackage {
        name: image.name.clone(),
        id: spdx_id(IMAGE),
        version_info: Some(image.version.clone()),
        package_file_name: Some("disk.raw".into()),
        checksums: vec![SpdxChecksum::sha256(&image.disk_sha256)],
        summary: Some(format!("disk image for {}", image.architecture)),
        external_refs: vec![root_hash],
        primary_package_purpose: Some("OPERATING_SYSTEM"),
        ..SpdxPackage::unknown()
    }
}

fn package(id: &str, component: &Component) -> SpdxPackage {
    let purl = component.purl.as_ref().map(|purl| SpdxReference {
        reference_category: "PACKAGE-MANAGER",
        reference_type: "purl",
        reference_locator: purl.clone(),
    });
    let source = component.source.as_ref().map(|(name, version)| format!("built from source package {name} {version}"));
    let declared: Vec<&str> = component.declared_in.iter().map(String::as_str).collect();
    let declared = (!declared.is_empty()).then(|| format!("declared in {}", declared.join(", ")));
    let organization = |name: &String| format!("Organization: {}", actor(name));
    SpdxPackage {
        name: component.name.clone(),
        id: spdx_id(id),
        version_info: Some(component.version.clone()).filter(|version| !version.is_empty()),
        package_file_name: component.file.clone(),
        supplier: component.supplier.as_ref().map_or_else(|| NOASSERTION.to_owned(), organization),
        originator: component.maintainer.as_ref().map(organization),
        checksums: component.sha256.iter().map(SpdxChecksum::sha256).collect(),
        homepage: component.homepage.clone(),
        source_info: source.or(declared),
        license_declared: component.licence.clone().unwrap_or_else(|| NOASSERTION.to_owned()),
        external_refs: purl.into_iter().collect(),
        primary_package_purpose: purpose(component.kind),
        ..SpdxPackage::unknown()
    }
}

fn purpose(kind: ComponentKind) -> Option<&'static str> {
    match kind {
        ComponentKind::Distribution | ComponentKind::Kernel => Some("OPERATING_SYSTEM"),
        ComponentKind::Firmware => Some("FIRMWARE"),
        ComponentKind::Container => Some("CONTAINER"),
        ComponentKind::Source => Some("SOURCE"),
        ComponentKind::Python | ComponentKind::Go | ComponentKind::Rust => Some("LIBRARY"),
        ComponentKind::Deb | ComponentKind::Apk => None,
    }
}

/// `NAME <ADDRESS>` as SPDX writes it: `NAME (ADDRESS)`.
fn actor(text: &str) -> String {
    match text.split_once('<').and_then(|(name, rest)| Some((name.trim(), rest.split_once('>')?.0.trim()))) {
        Some((name, address)) if !name.is_empty() => format!("{name} ({address})"),
        Some((_, address)) => address.to_owned(),
        None => text.trim().to_owned(),
    }
}

fn file(id: &str, file: &InventoryFile) -> SpdxFile {
    let sha1 = SpdxChecksum { algorithm: "SHA1", checksum_value: file.sha1.clone() };
    SpdxFile {
        file_name: format!(".{}", file.path),
        id: spdx_id(id),
        checksums: vec![sha1, SpdxChecksum::sha256(&file.sha256)],
        comment: format!("from: {}", file.source),
    }
}

/// The files of one root that nothing in the lock brought as they are.
struct FileGroup<'a> {
    place: String,
    files: Vec<(&'a String, &'a InventoryFile)>,
}

fn groups(inventory: &ImageInventory) -> Vec<FileGroup<'_>> {
    let mut all: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for (id, file) in &inventory.files {
        all.entry(ImageInventory::place(file.container.as_deref())).or_default().push((id, file));
    }
    all.into_iter().map(|(place, files)| FileGroup { place, files }).collect()
}

impl FileGroup<'_> {
    fn id(&self) -> String {
        format!("{}-files", spdx_id(&self.place))
    }
    fn package(&self, inventory: &ImageInventory) -> SpdxPackage {
        let of = self.files.first().and_then(|(_, file)| file.container.as_deref());
        SpdxPackage {
            name: format!("{}-files", of.unwrap_or(&inventory.image.name)),
            id: self.id(),
            version_info: Some(inventory.image.version.clone()),
            files_analyzed: true,
            package_verification_code: Some(self.verification_code()),
            summary: Some("files that are not as a package brought them".into()),
            ..SpdxPackage::unknown()
        }
    }
    /// SHA-1 of the sorted SHA-1s of all files, one behind the other (clause 7.9).
    fn verification_code(&self) -> VerificationCode {
        let mut sums: Vec<&str> = self.files.iter().map(|(_, file)| file.sha1.as_str()).collect();
        sums.sort_unstable();
        let mut value = String::new();
        for byte in Sha1::digest(sums.concat()) {
            let _ = write!(value, "{byte:02x}");
        }
        VerificationCode { package_verification_code_value: value }
    }
}

impl SpdxPackage {
    /// What is said of a package of which nothing is known.
    fn unknown() -> Self {
        Self {
            supplier: NOASSERTION.into(),
            download_location: NOASSERTION.into(),
            license_concluded: NOASSERTION.into(),
            license_declared: NOASSERTION.into(),
            copyright_text: NOASSERTION.into(),
            ..Self::default()
        }
    }
}

impl SpdxChecksum {
    fn sha256(digest: &Digest) -> Self {
        Self { algorithm: "SHA256", checksum_value: digest.to_string() }
    }
}

impl Relationship {
    fn new(one: &str, word: &'static str, other: &str) -> Self {
        Self { spdx_element_id: one.into(), relationship_type: word, related_spdx_element: other.into() }
    }
}
