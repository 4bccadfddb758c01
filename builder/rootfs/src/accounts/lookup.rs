//! Names and numbers of accounts, as the passwd(5) and group(5) of a tree give them.

use crate::tree::Tree;

/// The number of a user or group by name, or the number itself, from `etc/passwd` or `etc/group`.
pub fn number(tree: &Tree, file: &str, name: &str) -> Option<u32> {
    if let Ok(number) = name.parse() {
        return Some(number);
    }
    let text = tree.read(file.as_bytes())?;
    let text = std::str::from_utf8(text).ok()?;
    text.lines().map(|l| l.split(':').collect::<Vec<_>>()).find(|f| f[0] == name)?.get(2)?.parse().ok()
}

/// The name of a number, from `etc/passwd` or `etc/group`.
pub fn name(tree: &Tree, file: &str, number: u32) -> Option<String> {
    let text = std::str::from_utf8(tree.read(file.as_bytes())?).ok()?;
    let number = number.to_string();
    text.lines().find(|l| l.split(':').nth(2) == Some(&number))?.split(':').next().map(str::to_owned)
}
