//! ImageInventory → CycloneDX 1.6 as JSON (cyclonedx.org/docs/1.6/json).
//!
//! Components stand in one list, with the properties `diorite:kind` and `diorite:container`: scanners pass over nested ones and
//! over types such as `firmware`, and would say nothing of their holes. Who holds and who needs whom stands in `dependencies`.

use super::inventory::{Component, ComponentKind, IMAGE, ImageInventory, InventoryFile};
use diorite_model::Digest;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BomDocument {
    #[serde(rename = "$schema")]
    schema: &'static str,
    bom_format: &'static str,
    spec_version: &'static str,
    serial_number: String,
    version: u32,
    metadata: BomMetadata,
    components: Vec<BomComponent>,
    dependencies: Vec<Dependency>,
}

#[derive(Serialize)]
struct BomMetadata {
    timestamp: String,
    lifecycles: [Lifecycle; 1],
    tools: Tools,
    component: BomComponent,
}

#[derive(Serialize)]
struct Lifecycle {
    phase: &'static str,
}

#[derive(Serialize)]
struct Tools {
    components: Vec<BomComponent>,
}

#[derive(Serialize, Default)]
#[serde(rename_all = "camelCase")]
struct BomComponent {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(rename = "bom-ref", skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    supplier: Option<Organization>,
    #[serde(skip_serializing_if = "Option::is_none")]
    publisher: Option<String>,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hashes: Vec<Hash>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    licenses: Vec<LicenceChoice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    purl: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    external_references: Vec<BomReference>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    properties: Vec<Property>,
}

#[derive(Serialize)]
struct Organization {
    name: String,
}

#[derive(Serialize)]
struct Hash {
    alg: &'static str,
    content: String,
}

#[derive(Serialize)]
struct LicenceChoice {
    expression: String,
    acknowledgement: &'static str,
}

#[derive(Serialize)]
struct BomReference {
    #[serde(rename = "type")]
    kind: &'static str,
    url: String,
}

#[derive(Serialize)]
struct Property {
    name: &'static str,
    value: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Dependency {
    #[serde(rename = "ref")]
    id: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    depends_on: Vec<String>,
}

/// The document, with a newline at its end.
pub fn cyclonedx(inventory: &ImageInventory) -> Vec<u8> {
    let tool = BomComponent {
        kind: "application",
        name: "diorite".into(),
        version: Some(env!("CARGO_PKG_VERSION").into()),
        ..BomComponent::default()
    };
    let components = inventory.components.iter().map(|(id, about)| component(id, about));
    let files = inventory.files.iter().map(|(id, about)| file(id, about));
    let document = BomDocument {
        schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
        bom_format: "CycloneDX",
        spec_version: "1.6",
        serial_number: format!("urn:uuid:{}", inventory.uuid("cyclonedx")),
        version: 1,
        metadata: BomMetadata {
            timestamp: inventory.created(),
            lifecycles: [Lifecycle { phase: "build" }],
            tools: Tools { components: vec![tool] },
            component: whole(inventory),
        },
        components: components.chain(files).collect(),
        dependencies: dependencies(inventory),
    };
    let mut json = serde_json::to_vec_pretty(&document).expect("our own types serialize");
    json.push(b'\n');
    json
}

/// The image.
fn whole(inventory: &ImageInventory) -> BomComponent {
    let image = &inventory.image;
    BomComponent {
        kind: "operating-system",
        id: Some(IMAGE.into()),
        name: image.name.clone(),
        version: Some(image.version.clone()),
        hashes: vec![Hash::sha256(&image.disk_sha256)],
        properties: vec![
            Property { name: "diorite:architecture", value: image.architecture.clone() },
            Property { name: "diorite:root-hash", value: image.root_hash.to_string() },
        ],
        ..BomComponent::default()
    }
}

fn component(id: &str, about: &Component) -> BomComponent {
    let declared = about.licence.iter();
    let licences = declared.map(|text| LicenceChoice { expression: text.clone(), acknowledgement: "declared" });
    let property = |name, value: &str| Property { name, value: value.to_owned() };
    let mut properties = vec![property("diorite:kind", about.kind.name())];
    properties.extend(about.container.iter().map(|name| property("diorite:container", name)));
    properties.extend(about.file.iter().map(|name| property("diorite:file", name)));
    if let Some((name, version)) = &about.source {
        properties.push(Property { name: "diorite:source", value: format!("{name} {version}") });
    }
    properties.extend(about.declared_in.iter().map(|path| property("diorite:declared-in", path)));
    BomComponent {
        kind: kind(about.kind),
        id: Some(id.to_owned()),
        supplier: about.supplier.clone().map(|name| Organization { name }),
        publisher: about.maintainer.clone(),
        name: about.name.clone(),
        version: Some(about.version.clone()).filter(|version| !version.is_empty()),
        hashes: about.sha256.iter().map(Hash::sha256).collect(),
        licenses: licences.collect(),
        purl: about.purl.clone(),
        external_references: about
            .homepage
            .iter()
            .map(|url| BomReference { kind: "website", url: url.clone() })
            .collect(),
        properties,
    }
}

fn kind(kind: ComponentKind) -> &'static str {
    match kind {
        ComponentKind::Distribution => "operating-system",
        ComponentKind::Container => "container",
        _ => "library",
    }
}

fn file(id: &str, about: &InventoryFile) -> BomComponent {
    let mut properties = vec![Property { name: "diorite:from", value: about.source.clone() }];
    properties.extend(about.container.iter().map(|name| Property { name: "diorite:container", value: name.clone() }));
    BomComponent {
        kind: "file",
        id: Some(id.to_owned()),
        name: about.path.clone(),
        hashes: vec![Hash { alg: "SHA-1", content: about.sha1.clone() }, Hash::sha256(&about.sha256)],
        properties,
        ..BomComponent::default()
    }
}

/// One entry for each component: those that need or hold nothing say so.
fn dependencies(inventory: &ImageInventory) -> Vec<Dependency> {
    let mut all: BTreeMap<&str, BTreeSet<&str>> = [(IMAGE, BTreeSet::new())].into();
    for id in inventory.components.keys().chain(inventory.files.keys()) {
        all.entry(id).or_default();
    }
    for (one, _, other) in &inventory.relations {
        all.entry(one).or_default().insert(other);
    }
    let own = |names: BTreeSet<&str>| names.into_iter().map(str::to_owned).collect();
    all.into_iter().map(|(id, needs)| Dependency { id: id.to_owned(), depends_on: own(needs) }).collect()
}

impl Hash {
    fn sha256(digest: &Digest) -> Self {
        Self { alg: "SHA-256", content: digest.to_string() }
    }
}
