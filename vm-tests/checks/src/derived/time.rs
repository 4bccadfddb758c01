//! The clock: its zone, and who sets it.

use crate::{
    answer::{Judged, short, verdict},
    check::Check,
    output::says,
    scope::Scope,
};
use diorite_machine::Output;
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
    let what = format!("chrony asks the time servers {}", named.iter().cloned().collect::<Vec<_>>().join(" "));
    // Names as they are configured, also of servers that do not answer.
    let ask = "chronyc -n -N sources -a";
    (!named.is_empty()).then(|| Check::settling_script("time-servers", what, ask, move |said| sources(said, &named)))
}

/// `chronyc sources`, chronyc(1): a line for each source begins with its mode (`^` server, `=` peer, `#` clock) and its state,
/// and goes on with its name.
fn sources(output: &Output, named: &BTreeSet<String>) -> Judged {
    let name = |line: &str| {
        let mut words = line.split_whitespace();
        words.next().filter(|mode| mode.starts_with(['^', '=', '#'])).and_then(|_| words.next()).map(str::to_owned)
    };
    let asked: Vec<String> = output.text.lines().filter_map(name).collect();
    let same = asked.len() == named.len() && named.iter().all(|name| asked.contains(name));
    let seen = if asked.is_empty() { short(&output.text) } else { asked.join(" ") };
    verdict(output.success() && same, seen)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{plan, scope::tests::recipe_of};

    /// As chronyc 4.6.1 prints it.
    const SOURCES: &str = "\
MS Name/IP address         Stratum Poll Reach LastRx Last sample               
===============================================================================
^* ntp1.example                  2   6    17    23    -12us[ -15us] +/-   14ms
^? 192.0.2.123                   0   8     0     -     +0ns[   +0ns] +/-    0ns
";

    fn judge(text: &str, status: i32, named: &[&str]) -> Judged {
        let named = named.iter().map(|name| (*name).to_owned()).collect();
        sources(&Output { status, text: text.to_owned() }, &named)
    }

    #[test]
    fn chrony_that_asks_others_is_seen() {
        let both = ["192.0.2.123", "ntp1.example"];
        assert_eq!(judge(SOURCES, 0, &both), Ok("ntp1.example 192.0.2.123".into()));
        assert!(judge(SOURCES, 0, &both[..1]).is_err(), "one too many");
        assert!(judge(SOURCES, 0, &["192.0.2.123", "ntp1.example", "ntp2.example"]).is_err(), "one is missing");
        assert!(judge(SOURCES, 0, &["192.0.2.123", "ntp2.example"]).is_err(), "another");
        assert!(judge(&SOURCES.replace("192.0.2.123 ", "ntp1.example"), 0, &both).is_err(), "one twice");
        let head = SOURCES.lines().take(2).collect::<Vec<_>>().join("\n");
        assert!(judge(&head, 0, &both).is_err(), "nobody");
        assert_eq!(judge("506 Cannot talk to daemon\n", 1, &both), Err("506 Cannot talk to daemon".into()));
        assert!(judge(SOURCES, 1, &both).is_err(), "it failed");
    }

    #[test]
    fn the_servers_of_profile_and_links_are_asked_for() {
        let asked = |tables: &str| {
            let recipe = recipe_of(tables);
            let all = plan::of(&recipe, &[]);
            all.into_iter().find(|check| check.id == "time-servers").map(|check| check.what)
        };
        let chrony = "[time]\ndaemon = \"chrony\"\n";
        assert_eq!(asked(chrony), None, "Debian's pool is no promise of the profile");
        let named = format!("{chrony}ntp = [\"ntp2.example\", \"ntp1.example\"]\n");
        assert_eq!(asked(&named).as_deref(), Some("chrony asks the time servers ntp1.example ntp2.example"));
        let link = format!("{named}[network.lan]\ndhcp = true\nntp = [\"192.0.2.123\"]\n");
        assert_eq!(asked(&link).as_deref(), Some("chrony asks the time servers 192.0.2.123 ntp1.example ntp2.example"));
        assert!(asked("[time]\ndaemon = \"none\"\n").is_none());
    }
}
