//! Text that stands for several words, times and sizes, as compose files write them.

/// Words of a command line, quotes and backslashes followed; nothing is expanded.
pub(crate) fn shell_words(text: &str) -> Vec<String> {
    let (mut words, mut word, mut begun, mut quote) = (Vec::new(), String::new(), false, None);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (None, c) if c.is_whitespace() => {
                if begun {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
                continue;
            }
            (None, '\'' | '"') => quote = Some(c),
            (Some(q), c) if q == c => quote = None,
            (None | Some('"'), '\\') => word.extend(chars.next()),
            (_, c) => word.push(c),
        }
        begun = true;
    }
    if begun {
        words.push(word);
    }
    words
}

/// Whole seconds of `1m30s`, `500ms`, `30s`; at least one.
pub(crate) fn seconds(text: &str) -> Option<u64> {
    let (mut total, mut rest) = (0.0, text);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let (unit, length) = [("ms", 0.001), ("us", 0.000_001), ("h", 3600.0), ("m", 60.0), ("s", 1.0)]
            .into_iter()
            .find(|(unit, _)| rest.starts_with(unit))?;
        rest = &rest[unit.len()..];
        total += number * length;
    }
    (total > 0.0).then(|| (total.ceil() as u64).max(1))
}

/// Whole MiB of `512m`, `1.5g`, `64kb`, or bytes; at least one.
pub(crate) fn mebibytes(text: &str) -> Option<u64> {
    let lower = text.trim().to_ascii_lowercase();
    let digits = lower.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(lower.len());
    let number: f64 = lower[..digits].parse().ok()?;
    let unit = match lower[digits..].trim_end_matches("ib").trim_end_matches('b') {
        "" => 1.0,
        "k" => 1024.0,
        "m" => 1_048_576.0,
        "g" => 1_073_741_824.0,
        _ => return None,
    };
    Some(((number * unit / 1_048_576.0).ceil() as u64).max(1))
}

/// A name as tables of a profile have it, at most 32 characters.
pub(crate) fn name(text: &str) -> String {
    let plain: String = text
        .chars()
        .map(|c| c.to_ascii_lowercase())
        .map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' })
        .collect();
    let plain = plain.trim_matches('-');
    let begun =
        if plain.starts_with(|c: char| c.is_ascii_lowercase()) { plain.to_owned() } else { format!("x{plain}") };
    begun.chars().take(32).collect::<String>().trim_end_matches('-').to_owned()
}

/// `docker.io/library/nginx:1.27` of `nginx:1.27`, as docker completes names.
pub(crate) fn reference(reference: &str) -> String {
    let (first, rest) = reference.split_once('/').unwrap_or(("", reference));
    let registry = first.contains(['.', ':']) || first == "localhost";
    match (registry, first.is_empty()) {
        (true, _) => reference.to_owned(),
        (false, true) => format!("docker.io/library/{rest}"),
        (false, false) => format!("docker.io/{reference}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_times_and_sizes() {
        assert_eq!(shell_words(r#"sh -c "a  b" 'c"d' e\ f "" x"#), ["sh", "-c", "a  b", "c\"d", "e f", "", "x"]);
        assert_eq!(
            ["1m30s", "500ms", "30s", "2h", "10", ""].map(seconds),
            [Some(90), Some(1), Some(30), Some(7200), None, None]
        );
        assert_eq!(
            ["512m", "1.5g", "64kb", "1GiB", "10485760", "x"].map(mebibytes),
            [Some(512), Some(1536), Some(1), Some(1024), Some(10), None]
        );
        assert_eq!(["Web_App.1", "9lives", "-a-"].map(name), ["web-app-1", "x9lives", "a"]);
    }
}
