//! What programs print, read by several judges.

use crate::answer::{Judged, short, verdict};
use diorite_machine::Output;

/// A command that succeeds and prints exactly this.
pub fn says(output: &Output, expected: &str) -> Judged {
    verdict(output.success() && output.text.trim() == expected, short(&output.text))
}

/// The line of a mount point in /proc/mounts, proc(5): device, file-system type, options. The last one is on top.
pub fn mount<'a>(mounts: &'a str, point: &str) -> Option<(&'a str, &'a str, Vec<&'a str>)> {
    mounts.lines().rev().find_map(|line| {
        let words: Vec<&str> = line.split(' ').collect();
        (words.len() >= 4 && words[1] == point).then(|| (words[0], words[2], words[3].split(',').collect()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn out(status: i32, text: &str) -> Output {
        Output { status, text: text.to_owned() }
    }

    #[test]
    fn only_exactly_this_is_it() {
        assert!(says(&out(0, "web\n"), "web").is_ok());
        assert!(says(&out(0, "web2"), "web").is_err() && says(&out(1, "web"), "web").is_err());
    }
}
