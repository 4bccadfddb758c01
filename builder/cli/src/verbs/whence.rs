//! `whence`: a path of an image → who put it there, with the line of the profile where the profile is at hand.

use super::inspect::carried;
use crate::args::WhenceArgs;
use crate::context::Context;
use crate::project::Project;
use crate::subject::NamedSubject;
use crate::{out, print_compare, sides};
use diorite_compare::whence;
use diorite_image::read::ImageReader;
use diorite_model::{Error, Exit, Result};
use std::collections::BTreeMap;

/// Prints where the file comes from.
pub fn whence(args: &WhenceArgs, context: &Context) -> Result<Exit> {
    whence::absolute(&args.path)?;
    let subject = NamedSubject::of(&args.image, &args.paths)?;
    let image = ImageReader::open_whole(&subject.image()?)?;
    carried(&image)?;
    let lock = sides::lock_of(&image)?.ok_or_else(|| Error::bug("an image with a recipe and no lock"))?;
    let found = whence::whence(&image, &lock, &args.path)?;
    let line = match (&found.table, &subject) {
        (Some(table), NamedSubject::Profile(_)) => line_of(&Project::places(&args.image)?, table, &found.path),
        _ => None,
    };
    out::print(print_compare::whence(&found, line.as_deref(), context.json))?;
    Ok(Exit::Done)
}

/// The line of the profile: that of the table's part which the file is named after, else that of the table.
fn line_of(places: &BTreeMap<String, String>, table: &str, path: &str) -> Option<String> {
    let file = path.rsplit('/').next().unwrap_or_default();
    let words: Vec<&str> = file.split(['.', '-', '@', '_']).collect();
    let prefix = format!("{table}.");
    let part = places.iter().filter(|(key, _)| key.strip_prefix(&prefix).is_some_and(|key| words.contains(&key)));
    part.map(|(_, place)| place).next().or_else(|| places.get(table)).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_part_of_a_table_that_a_file_is_named_after_is_its_line() {
        let places = ["containers", "containers.web", "network.lan"]
            .map(|key| (key.to_owned(), format!("p.toml:{}", key.len())));
        let places = places.into_iter().collect();
        let line = |table: &str, path: &str| line_of(&places, table, path);
        assert_eq!(line("containers", "/etc/containers/systemd/web.container").as_deref(), Some("p.toml:14"));
        assert_eq!(line("containers", "/etc/containers/storage.conf").as_deref(), Some("p.toml:10"));
        assert_eq!(line("network", "/etc/systemd/network/10-lan.network").as_deref(), Some("p.toml:11"));
        assert_eq!(line("firewall", "/etc/diorite/firewall.nft"), None);
    }
}
