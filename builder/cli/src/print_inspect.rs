//! What is in an image, for people and as JSON.

use diorite_host::progress::bytes;
use diorite_image::measure::{self, ExpectedPcr};
use diorite_image::pe::Pe;
use diorite_image::read::{Damage, ImageFileKind, ImageReader};
use diorite_model::{Digest, Recipe};
use serde_json::json;

/// The recipe, in the form of recipe.json; with `--json` in one line.
pub fn recipe(recipe: &Recipe, as_json: bool) -> String {
    let text = if as_json { serde_json::to_string(recipe) } else { serde_json::to_string_pretty(recipe) };
    text.expect("a recipe is JSON") + "\n"
}

/// The facts and what is damaged.
pub fn image(image: &ImageReader, sha256: Digest, damages: &[Damage], as_json: bool) -> String {
    let line = image.esp.command_line().unwrap_or_default();
    if as_json {
        return as_value(image, sha256, &line, damages).to_string() + "\n";
    }
    let mut text = String::new();
    let mut fact = |what: &str, value: String| text += &format!("{what:<13} {value}\n");
    let path = image.disk.path().display();
    match &image.carried {
        Some(carried) => {
            let recipe = &carried.recipe;
            fact("image", format!("{} {}", recipe.image.name, recipe.image.version));
            fact("disk", format!("{path}, {}, sha256 {sha256}", bytes(image.disk.size())));
            fact("recipe", format!("{}  (--print-recipe prints it)", recipe.digest()));
            fact("lock", format!("{}  (--print-lock prints it)", packages(&carried.lock)));
            for (name, digest) in &carried.description.overlays {
                fact("overlay", format!("{name}  {}", digest.short(12)));
            }
        }
        None => {
            fact("disk", format!("{path}, {}, sha256 {sha256}", bytes(image.disk.size())));
            fact("recipe", "none: an earlier version of Diorite has built this image".into());
        }
    }
    fact("root hash", image.root_hash.to_string());
    fact("command line", line);
    let regular = image.files.values().filter(|file| matches!(file.kind, ImageFileKind::Regular(..))).count();
    fact("root", format!("{} files, {regular} of them regular, in {}", image.files.len(), bytes(image.root.len())));
    for partition in image.disk.partitions() {
        let size = bytes(partition.sectors * diorite_image::disk::SECTOR);
        fact("partition", format!("{:<28} {size:>10}  {}", partition.label.escape_debug().to_string(), partition.id));
    }
    for (path, content) in &image.esp.files {
        let signed = if is_signed(content) { "  signed" } else { "" };
        fact("boot file", format!("{path:<36} {:>10}{signed}", bytes(content.len() as u64)));
    }
    for expected in pcr_11(image) {
        let when = if expected.phases.is_empty() { "before the kernel" } else { &expected.phases };
        fact("PCR 11", format!("{}  {when}", expected.sha256));
    }
    let to_be_signed = image.carried.as_ref().is_some_and(|carried| carried.recipe.signing.is_some());
    match damages {
        [] if to_be_signed => fact(
            "intact",
            "every byte but signatures and keys is what root hash, root and recipe say; who has signed is not judged"
                .into(),
        ),
        [] if image.carried.is_some() => fact("intact", "every byte is what root hash, root and recipe say".into()),
        [] => fact("intact", "the root is what its root hash says; the rest cannot be judged without a recipe".into()),
        some => some.iter().for_each(|d| fact("DAMAGED", format!("{}: {}: {}", d.part, d.place, d.what))),
    }
    text
}

/// What a TPM will hold of the image's kernel; nothing where it has none that can be read.
fn pcr_11(image: &ImageReader) -> Vec<ExpectedPcr> {
    image.esp.uki().and_then(|(_, uki)| measure::pcr_11(uki)).unwrap_or_default()
}

/// Whether it is a program with a signature, whoever made that.
fn is_signed(file: &[u8]) -> bool {
    Pe::parse(file.to_vec()).and_then(|pe| pe.is_signed()).unwrap_or_default()
}

/// How many packages a lock has.
fn packages(lock: &str) -> String {
    let count = lock.lines().filter(|line| line.trim_start().starts_with("{ name = ")).count();
    format!("{count} packages and files")
}

fn as_value(image: &ImageReader, sha256: Digest, line: &str, damages: &[Damage]) -> serde_json::Value {
    let damage = |d: &Damage| json!({ "part": d.part, "place": d.place, "what": d.what });
    let partitions = image.disk.partitions().iter().map(|p| {
        json!({
            "label": p.label, "type": p.kind.to_string(), "id": p.id.to_string(), "offset": p.offset(),
            "bytes": p.sectors * diorite_image::disk::SECTOR, "read_only": p.read_only,
        })
    });
    let boot = image
        .esp
        .files
        .iter()
        .map(|(path, content)| json!({ "path": path, "bytes": content.len(), "sha256": Digest::of(content) }));
    let carried = image.carried.as_ref().map(|c| {
        json!({
            "recipe_digest": c.recipe.digest(), "recipe": c.recipe, "lock": c.lock,
            "overlays": c.description.overlays, "kernel_sha256": c.description.kernel,
        })
    });
    let pcr_11 = pcr_11(image).into_iter().map(|pcr| json!({ "phases": pcr.phases, "sha256": pcr.sha256 }));
    json!({
        "schema": 1, "disk": image.disk.path(), "bytes": image.disk.size(), "disk_sha256": sha256,
        "root_hash": image.root_hash, "command_line": line, "files": image.files.len(), "root_bytes": image.root.len(),
        "partitions": partitions.collect::<Vec<_>>(), "boot_files": boot.collect::<Vec<_>>(), "carried": carried,
        "pcr_11": pcr_11.collect::<Vec<_>>(),
        "intact": damages.is_empty(), "damages": damages.iter().map(damage).collect::<Vec<_>>(),
    })
}
