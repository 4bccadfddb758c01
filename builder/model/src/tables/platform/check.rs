//! A physical machine with the kernel of virtual ones, and firmware that nothing uses or that is not to be had.

use crate::Result;
use crate::recipe::{Flavour, Platform, Recipe};
use crate::tables::places::Places;

pub(crate) fn check(recipe: &Recipe, places: &Places) -> Result<()> {
    let (platform, kernel) = (&recipe.platform, &recipe.kernel);
    if !platform.is_metal() {
        let key = match (platform.firmware.is_empty(), platform.microcode) {
            (true, false) => return Ok(()),
            (false, _) => "platform.firmware",
            (true, true) => "platform.microcode",
        };
        let error = places.finding(key, format!("`{key}` is for physical machines"));
        return Err(error
            .because("the hypervisor has the devices and the processor, and loads what they need")
            .hint("write `kind = \"metal\"`, or remove the key; a device that is passed through: `packages.include`"));
    }
    if kernel.package.is_none() && kernel.flavour == Flavour::Cloud {
        let what = "the kernel `cloud` has no drivers for physical machines";
        let error = places.between("kernel.flavour", what, "platform.kind", "the machine is a physical one");
        return Err(error.hint("remove `flavour`: the default here is `generic`"));
    }
    if platform.microcode && !recipe.archive.components.iter().any(|c| c == Platform::COMPONENT) {
        let what =
            format!("microcode is in Debian's component `{}`, which the profile does not name", Platform::COMPONENT);
        let error = places.finding("platform", what);
        return Err(error.hint(format!(
            "write `components = [\"main\", \"{}\"]` under [archive], or `microcode = false` here",
            Platform::COMPONENT
        )));
    }
    Ok(())
}
