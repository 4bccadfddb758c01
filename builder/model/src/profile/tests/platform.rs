//! `[platform]`: what is refused, and what follows.

use super::*;
use crate::recipe::Flavour;

/// The smallest profile with these tables.
fn read(tables: &str) -> Result<Recipe> {
    let text = format!("[image]\nname = \"x\"\nversion = \"1\"\n{tables}");
    parse(&text, "profiles/x.toml", &mut shipped).map(|(recipe, _)| recipe)
}

const FIRMWARE: &str = "[archive]\ncomponents = [\"main\", \"non-free-firmware\"]\n";

#[test]
fn errors_show_the_line() {
    let refused = |tables: &str| read(tables).map(|r| format!("{:?}", r.platform)).unwrap_or_else(|e| e.to_string());
    let all = [
        refused("[platform]\nkind = \"laptop\""),
        refused("[platform]\nfirmware = [\"firmware-realtek\"]"),
        refused("[platform]\nkind = \"vm\"\nmicrocode = true"),
        refused("[platform]\nkind = \"metal\""),
        refused(&format!("{FIRMWARE}[platform]\nkind = \"metal\"\nfirmware = [\"Realtek; rm\"]")),
        refused("[platform]\ninstaller = {}"),
        refused("[platform]\ninstaller = { only_disk = true, serial = \"S5\" }"),
        refused("[platform]\ninstaller = { serial = \"a b\" }"),
        refused(&format!("{FIRMWARE}[platform]\nkind = \"metal\"\n[kernel]\nflavour = \"cloud\"")),
        refused(&format!("{FIRMWARE}[platform]\nkind = \"metal\"\n[packages]\nexclude = [\"intel-microcode\"]")),
    ];
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn a_physical_machine_gets_every_driver_and_microcode() {
    let metal = read(&format!("{FIRMWARE}[platform]\nkind = \"metal\"\nfirmware = [\"firmware-realtek\"]")).unwrap();
    let has = |recipe: &Recipe, name: &str| recipe.packages.include.iter().any(|p| p == name);
    for name in ["linux-image-amd64", "firmware-realtek", "amd64-microcode", "intel-microcode"] {
        assert!(has(&metal, name), "{name}");
    }
    let without = read("[platform]\nkind = \"metal\"\nmicrocode = false").unwrap();
    assert!(without.kernel.flavour == Flavour::Generic && !has(&without, "intel-microcode"));
    // A virtual machine's recipe is what it was before there was the table.
    assert_eq!(read("[platform]\nkind = \"vm\"").unwrap().digest(), read("").unwrap().digest());
}
