//! The clock: its zone, and who sets it.

use crate::{check::Check, output::says, scope::Scope};

/// The time zone, and the servers that the profile names.
pub fn declared(scope: &Scope<'_>) -> Vec<Check> {
    let zone = scope.recipe.time.timezone.clone();
    let (what, ask) = (format!("the time zone is {zone}"), "timedatectl show -p Timezone --value");
    let mut all = vec![Check::script("timezone", what, ask, move |said| says(said, &zone))];
    if !scope.recipe.time.ntp.is_empty() {
        let list = scope.recipe.time.ntp.join(" ");
        let (what, ask) =
            (format!("the time servers are {list}"), "timedatectl show-timesync -p SystemNTPServers --value");
        all.push(Check::script("time-servers", what, ask, move |said| says(said, &list)));
    }
    all
}

/// The clock is set, where the network's own server is to be asked.
pub fn clock(scope: &Scope<'_>) -> Option<Check> {
    let recipe = scope.recipe;
    let front = scope.front()?;
    let learned = front.dhcp_ipv4 && recipe.time.ntp.is_empty() && recipe.network.values().all(|l| l.ntp.is_empty());
    learned.then(|| {
        let expected = format!("{}\nyes", scope.around.config.ipv4);
        let ask = "timedatectl show-timesync -p ServerAddress --value; timedatectl show -p NTPSynchronized --value";
        let what = "the clock is synchronized with the network's time server";
        Check::settling_script("clock", what, ask, move |said| says(said, &expected))
    })
}
