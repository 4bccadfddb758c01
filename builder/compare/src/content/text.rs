//! Text: the first line that differs, lines in another order, and what the difference looks like.

use super::{InnerDifference, inside};

/// Bytes of a line that are shown.
const SHOWN: usize = 160;

/// What differs, when both are text.
pub(super) fn difference(a: &[u8], b: &[u8], _depth: usize) -> Option<InnerDifference> {
    let text = |bytes| std::str::from_utf8(bytes).ok().filter(|text: &&str| !text.contains('\0'));
    let (a, b) = (text(a)?, text(b)?);
    let (x, y): (Vec<&str>, Vec<&str>) = (a.lines().collect(), b.lines().collect());
    let at = x.iter().zip(&y).position(|(x, y)| x != y).unwrap_or(x.len().min(y.len()));
    let line = |lines: &[&str]| lines.get(at).map_or_else(|| "the end".to_owned(), |line| shown(line));
    let sorted = |lines: &[&str]| {
        let mut lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        lines.sort();
        lines
    };
    if x.len() == y.len() && at < x.len() && sorted(&x) == sorted(&y) {
        let cause =
            "the lines were written in the order in which the file system, a hash table or several threads gave them";
        return Some(inside(format!("order of lines from line {} on", at + 1), line(&x), line(&y), cause));
    }
    let cause = match (x.get(at), y.get(at)) {
        (Some(x), Some(y)) => cause(x, y),
        _ => "",
    };
    Some(inside(format!("line {}", at + 1), line(&x), line(&y), cause))
}

fn shown(line: &str) -> String {
    let cut: String = line.chars().take(SHOWN).collect();
    let more = if cut.len() < line.len() { "…" } else { "" };
    format!("{}{more}", cut.escape_debug())
}

/// What the differing words of two lines look like.
fn cause(a: &str, b: &str) -> &'static str {
    let words = |line: &str| {
        line.split(|c: char| c.is_whitespace() || "\"'=,;()[]{}<>".contains(c)).map(str::to_owned).collect::<Vec<_>>()
    };
    let (x, y) = (words(a), words(b));
    if x.len() != y.len() {
        return "";
    }
    let differing: Vec<(&String, &String)> = x.iter().zip(&y).filter(|(x, y)| x != y).collect();
    let all = |test: fn(&str) -> bool| {
        !differing.is_empty() && differing.iter().all(|(x, y)| test(x.as_str()) && test(y.as_str()))
    };
    if all(is_time) {
        "a time: whoever wrote the file asked the clock, and not SOURCE_DATE_EPOCH"
    } else if all(is_path) {
        "a path of the host: whoever wrote the file put the directory of the build into it"
    } else if all(is_random) {
        "a random value, or the digest of something that differs"
    } else {
        ""
    }
}

/// `2026-11-30T12:00:00Z`, `12:00:01`, `Nov`, seconds since 1970 of this century's first half.
fn is_time(word: &str) -> bool {
    let digits = word.chars().filter(char::is_ascii_digit).count();
    let of_time = word.chars().all(|c| c.is_ascii_digit() || "-:.+TZ/".contains(c));
    let date = of_time && digits >= 4 && word.contains(['-', ':', '/']);
    let seconds = word.parse::<u64>().is_ok_and(|n| (1_000_000_000..4_102_444_800).contains(&n));
    const NAMES: [&str; 19] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec", "Mon", "Tue", "Wed", "Thu",
        "Fri", "Sat", "Sun",
    ];
    let day = word.parse::<u64>().is_ok_and(|n| (1..=31).contains(&n) || (1970..2100).contains(&n));
    date || seconds || day || NAMES.contains(&word)
}

fn is_path(word: &str) -> bool {
    word.starts_with('/') && word.len() > 1
}

fn is_random(word: &str) -> bool {
    let plain = word.replace('-', "");
    plain.len() >= 8
        && plain.chars().all(|c| c.is_ascii_alphanumeric() || "+/_".contains(c))
        && plain.chars().any(|c| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::super::difference;

    fn said(a: &str, b: &str) -> (String, String) {
        let found = difference(a.as_bytes(), b.as_bytes());
        (found.what, found.cause.unwrap_or_default())
    }

    #[test]
    fn lines_orders_and_what_they_look_like() {
        assert_eq!(said("a\nb\n", "a\nc\n"), ("line 2".into(), String::new()));
        assert_eq!(said("a\nb\n", "a\n").0, "line 2");
        assert!(said("a\nb\nc\n", "a\nc\nb\n").1.contains("order"));
        assert_eq!(said("a\nb\nc\n", "a\nc\nb\n").0, "order of lines from line 2 on");
        assert!(said("made Mon Nov 30 12:00:01\n", "made Tue Dec 1 13:00:07\n").1.contains("clock"));
        assert!(said("t=1764500000\n", "t=1764500099\n").1.contains("clock"));
        assert!(said("dir \"/build/one\"\n", "dir \"/build/two\"\n").1.contains("path"));
        let (x, y) = ("id 6f9619ff-8b86-4d11-b42d-00c04fc964ff\n", "id 0b2f7c1e-8b86-4d11-b42d-00c04fc96411\n");
        assert!(said(x, y).1.contains("random"));
    }
}
