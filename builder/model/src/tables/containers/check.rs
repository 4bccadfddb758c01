//! Containers against each other, their networks and themselves.

use crate::Result;
use crate::recipe::{Container, DEFAULT_SUBNET, MountTime, Recipe, SecretTo};
use crate::tables::places::Places;
use std::collections::BTreeMap;

pub(crate) fn check(recipe: &Recipe, places: &Places) -> Result<()> {
    for (name, container) in &recipe.containers {
        mounts(name, container, places)?;
        disks(recipe, name, container, places)?;
        limits(name, container, places)?;
        variables(name, container, places)?;
        known(recipe, name, container, places)?;
        ways_out(recipe, name, container, places)?;
    }
    circle(recipe, places)?;
    ids(recipe, places)?;
    subnets(recipe, places)
}

/// Two things mounted at one path.
fn mounts(name: &str, container: &Container, places: &Places) -> Result<()> {
    let whole = format!("containers.{name}");
    let volumes = container.volumes.iter().map(|(n, v)| (&v.path, format!("{whole}.volumes.{n}.path")));
    let memory = container.writable.iter().enumerate().map(|(i, p)| (p, format!("{whole}.writable.{i}")));
    let files = container.secrets.iter().filter_map(|(n, s)| match &s.to {
        SecretTo::File(path) => Some((path, format!("{whole}.secrets.{n}.file"))),
        SecretTo::Environment(_) => None,
    });
    let mut seen: BTreeMap<&String, String> = BTreeMap::new();
    for (path, place) in volumes.chain(memory).chain(files) {
        if let Some(other) = seen.get(path) {
            let what = format!("container `{name}` has two things at {path}");
            return Err(places.between(&place, what, other, "the other one").hint("one would hide the other: move it"));
        }
        seen.insert(path, place);
    }
    Ok(())
}

/// A volume on what is not a disk that is there before the container starts.
fn disks(recipe: &Recipe, name: &str, container: &Container, places: &Places) -> Result<()> {
    for (volume, about) in &container.volumes {
        let Some(mount) = &about.mount else { continue };
        let place = format!("containers.{name}.volumes.{volume}.mount");
        let Some(found) = recipe.mounts.get(mount) else {
            let error = places.finding(&place, format!("there is no mount `{mount}`"));
            return Err(error.hint(format!("declare it as [mounts.{mount}], or remove this line")));
        };
        let fine = found.disk().is_some() && found.required && !found.read_only && found.when == MountTime::Boot;
        if !fine {
            let what = format!("volume `{volume}` of container `{name}` cannot be on the mount `{mount}`");
            let error = places.between(&place, what, &format!("mounts.{mount}"), "this mount");
            return Err(error.hint("a volume needs a disk that is mounted at boot, required and writable"));
        }
    }
    Ok(())
}

/// A limit of something that it does not have.
fn limits(name: &str, container: &Container, places: &Places) -> Result<()> {
    if container.limits.writable.is_some() && container.writable.is_empty() {
        let error = places.finding(
            &format!("containers.{name}.limits.writable"),
            format!("container `{name}` has no directory in memory to limit"),
        );
        return Err(error.hint("name it in `writable`, or remove the limit"));
    }
    Ok(())
}

/// A variable that is given twice.
fn variables(name: &str, container: &Container, places: &Places) -> Result<()> {
    let whole = format!("containers.{name}");
    let mut seen: BTreeMap<&String, String> =
        container.environment.keys().map(|v| (v, format!("{whole}.environment.{v}"))).collect();
    for (secret, to) in &container.secrets {
        let SecretTo::Environment(variable) = &to.to else { continue };
        let place = format!("{whole}.secrets.{secret}.environment");
        if let Some(other) = seen.get(variable) {
            let what = format!("container `{name}` is given the variable `{variable}` twice");
            return Err(places.between(&place, what, other, "the other one").hint("remove one of them"));
        }
        seen.insert(variable, place);
    }
    Ok(())
}

/// Containers and networks that are named and not declared; a container that waits for itself.
fn known(recipe: &Recipe, name: &str, container: &Container, places: &Places) -> Result<()> {
    for (key, list) in [("after", &container.after), ("requires", &container.requires)] {
        for (i, other) in list.iter().enumerate() {
            let place = format!("containers.{name}.{key}.{i}");
            if other == name {
                return Err(places.finding(&place, format!("container `{name}` waits for itself")));
            }
            if !recipe.containers.contains_key(other) {
                let there = recipe.containers.keys().cloned().collect::<Vec<_>>().join(", ");
                let error = places.finding(&place, format!("there is no container `{other}` to wait for"));
                return Err(error.hint(format!("containers here: {there}")));
            }
        }
    }
    for (i, network) in container.networks.iter().enumerate() {
        if !recipe.container_networks.contains_key(network) {
            let place = format!("containers.{name}.networks.{i}");
            let error = places.finding(&place, format!("there is no container network `{network}`"));
            return Err(error.hint(format!("declare it: `[container_networks.{network}]`")));
        }
    }
    Ok(())
}

/// A published port of a container that nobody outside can be answered by.
fn ways_out(recipe: &Recipe, name: &str, container: &Container, places: &Places) -> Result<()> {
    let inside = |n: &String| recipe.container_networks.get(n).is_some_and(|n| n.internal);
    if container.publish.is_empty() || container.networks.is_empty() || !container.networks.iter().all(inside) {
        return Ok(());
    }
    let what = format!("container `{name}` publishes a port and has no way out to answer by");
    let (one, two) = (format!("containers.{name}.publish.0"), format!("containers.{name}.networks.0"));
    let error = places.between(&one, what, &two, "its only networks are internal:");
    Err(error.hint("give it one more network, without `internal`, or do not publish the port"))
}

/// Containers that wait for each other in a circle.
fn circle(recipe: &Recipe, places: &Places) -> Result<()> {
    fn walk<'a>(recipe: &'a Recipe, name: &'a String, way: &mut Vec<&'a String>, done: &mut Vec<&'a String>) -> bool {
        if done.contains(&name) {
            return false;
        }
        let begun = way.contains(&name);
        way.push(name);
        if begun {
            return true;
        }
        let container = &recipe.containers[name];
        if container.after.iter().chain(&container.requires).any(|other| walk(recipe, other, way, done)) {
            return true;
        }
        way.pop();
        done.push(name);
        false
    }
    let (mut way, mut done) = (Vec::new(), Vec::new());
    for name in recipe.containers.keys() {
        if !walk(recipe, name, &mut way, &mut done) {
            continue;
        }
        let last = way[way.len() - 1];
        let first = way.iter().position(|n| *n == last).unwrap_or(0);
        let words = way[first..].iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(" → ");
        let line = |from: &String, to: &String| {
            let container = &recipe.containers[from];
            let at = |key: &str, list: &[String]| {
                list.iter().position(|o| o == to).map(|i| format!("containers.{from}.{key}.{i}"))
            };
            at("after", &container.after).or_else(|| at("requires", &container.requires)).unwrap_or_default()
        };
        let (one, two) = (line(way[first], way[first + 1]), line(way[way.len() - 2], last));
        let error = places.between(&one, "containers wait for each other in a circle", &two, "which closes");
        return Err(error.because(words).hint("none of them could be started: remove one `after` or `requires`"));
    }
    Ok(())
}

/// Two containers with the same numbers.
fn ids(recipe: &Recipe, places: &Places) -> Result<()> {
    let with = |(name, c): (&'_ String, &Container)| c.ids.map(|ids| (name.clone(), ids));
    let all: Vec<(String, u32)> = recipe.containers.iter().filter_map(with).collect();
    for (i, (name, ids)) in all.iter().enumerate() {
        if let Some((other, _)) = all[..i].iter().find(|(_, o)| o.abs_diff(*ids) < 65_536) {
            let what = format!("containers `{other}` and `{name}` have the same user numbers on the machine");
            let (one, two) = (format!("containers.{name}.ids"), format!("containers.{other}.ids"));
            return Err(places
                .between(&one, what, &two, "the other one")
                .because(format!("the 65536 numbers from {ids} are `{name}`'s"))
                .hint(format!(
                    "write another `ids = …` for the one that has nothing on state yet, say {}",
                    ids ^ 65_536
                )));
        }
    }
    Ok(())
}

/// Two networks with the same addresses.
fn subnets(recipe: &Recipe, places: &Places) -> Result<()> {
    let parse = |text: &str| {
        let (address, prefix) = text.split_once('/')?;
        let (address, prefix) = (address.parse::<std::net::Ipv4Addr>().ok()?, prefix.parse::<u32>().ok()?);
        Some((u64::from(address.to_bits()), u64::from(address.to_bits()) + (1 << (32 - prefix))))
    };
    let networks = recipe.container_networks.iter();
    let mut all: Vec<(String, String, (u64, u64))> = networks
        .filter_map(|(n, w)| {
            Some((format!("container network `{n}`"), format!("container_networks.{n}.subnet"), parse(&w.subnet)?))
        })
        .collect();
    if !recipe.containers.is_empty() {
        let own = parse(DEFAULT_SUBNET).expect("podman's own network is one");
        all.insert(0, (format!("podman's own network, {DEFAULT_SUBNET}"), String::new(), own));
    }
    for (i, (who, place, range)) in all.iter().enumerate() {
        let common = |o: &&(String, String, (u64, u64))| o.2.0 < range.1 && range.0 < o.2.1;
        let Some((other, second, _)) = all[..i].iter().find(common) else { continue };
        let what = format!("{other} and {who} have the same addresses");
        let error = match second.is_empty() {
            true => places.finding(place, what),
            false => places.between(place, what, second, "the other one"),
        };
        return Err(error.hint("write another `subnet`, such as 10.90.0.0/24"));
    }
    Ok(())
}
