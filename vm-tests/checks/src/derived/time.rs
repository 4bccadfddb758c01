//! The clock: its zone, and who sets it.

use crate::{check::Check, output::says, scope::Scope};
use diorite_model::Recipe;
use diorite_model::recipe::TimeDaemon;
use std::collections::BTreeSet;

/// The time zone, and the servers that the profile names.
pub fn declared(scope: &Scope<'_>) -> Vec<Check> {
    let zone = scope.recipe.time.timezone.clone();
    let (what, ask) = (format!("the time zone is {zone}"), "timedatectl show -p Timezone --value");
    let mut all = vec![Check::script("timezone", what, ask, move |said| says(said, &zone))];
    if scope.recipe.time.daemon == TimeDaemon::Chrony {
        all.extend(chrony(scope.recipe));
    }
    if scope.recipe.time.daemon == TimeDaemon::Timesyncd && !scope.recipe.time.ntp.is_empty() {
        let list = scope.recipe.time.ntp.join(" ");
        let (what, ask) =
            (format!("the time servers are {list}"), "timedatectl show-timesync -p SystemNTPServers --value");
        all.push(Check::script("time-servers", what, ask, move |said| says(said, &list)));
    }
    all
}

/// What chrony asks is what the profile names.
fn chrony(recipe: &Recipe) -> Option<Check> {
    let links = recipe.network.values().flat_map(|link| &link.ntp);
    let named: BTreeSet<String> = recipe.time.ntp.iter().chain(links).cloned().collect();
    let list = named.into_iter().collect::<Vec<_>>().join("\n");
    let (what, ask) = (
        format!("chrony asks the time servers {}", list.replace('\n', " ")),
        // Names as they are configured, also of servers that do not answer.
        "chronyc -n -N sources -a | awk '/^[\\^=#]/ { print $2 }' | sort",
    );
    (!list.is_empty()).then(|| Check::settling_script("time-servers", what, ask, move |said| says(said, &list)))
}

/// The clock is set, where the network's own server is to be asked.
pub fn clock(scope: &Scope<'_>) -> Option<Check> {
    let recipe = scope.recipe;
    let front = scope.front()?;
    let asked = recipe.time.daemon == TimeDaemon::Timesyncd;
    let learned =
        asked && front.dhcp_ipv4 && recipe.time.ntp.is_empty() && recipe.network.values().all(|l| l.ntp.is_empty());
    learned.then(|| {
        let expected = format!("{}\nyes", scope.around.config.ipv4);
        let ask = "timedatectl show-timesync -p ServerAddress --value; timedatectl show -p NTPSynchronized --value";
        let what = "the clock is synchronized with the network's time server";
        Check::settling_script("clock", what, ask, move |said| says(said, &expected))
    })
}
