//! YAML 1.2 → values that know their lines. Anchors and merge keys (`<<`) are followed.

use diorite_model::{Error, Result};
use saphyr_parser::{Event, Parser, ScalarStyle};
use std::collections::BTreeMap;

/// Most values of one file, aliases followed: a hundred times more than a person writes.
const MOST: usize = 100_000;
/// Largest file, in bytes.
const LARGEST: usize = 1 << 20;
/// Deepest nesting.
const DEEPEST: usize = 64;

/// A value and the line it begins on.
#[derive(Debug, Clone)]
pub(crate) struct YamlNode {
    pub(crate) line: usize,
    pub(crate) kind: YamlKind,
}

#[derive(Debug, Clone)]
pub(crate) enum YamlKind {
    /// Nothing, `null` or `~`.
    Null,
    /// Any other scalar, as it is written.
    Text(String),
    List(Vec<YamlNode>),
    /// Keys with their lines, in the order of the file.
    Table(Vec<(String, usize, YamlNode)>),
}

impl YamlNode {
    /// The text of a scalar.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.kind {
            YamlKind::Text(text) => Some(text),
            _ => None,
        }
    }

    /// `true`, `yes` or `on`.
    pub(crate) fn is_true(&self) -> bool {
        matches!(self.text(), Some("true" | "True" | "yes" | "on"))
    }

    /// Entries of a table; none of anything else.
    pub(crate) fn entries(&self) -> &[(String, usize, YamlNode)] {
        match &self.kind {
            YamlKind::Table(entries) => entries,
            _ => &[],
        }
    }

    /// Items of a list; of a scalar, itself alone.
    pub(crate) fn items(&self) -> Vec<&YamlNode> {
        match &self.kind {
            YamlKind::List(items) => items.iter().collect(),
            YamlKind::Text(_) => vec![self],
            _ => Vec::new(),
        }
    }

    /// The value under a key of a table.
    pub(crate) fn get(&self, key: &str) -> Option<&YamlNode> {
        self.entries().iter().find(|(name, _, _)| name == key).map(|(_, _, node)| node)
    }

    fn count(&self) -> usize {
        match &self.kind {
            YamlKind::List(items) => 1 + items.iter().map(Self::count).sum::<usize>(),
            YamlKind::Table(entries) => 1 + entries.iter().map(|(_, _, node)| node.count()).sum::<usize>(),
            _ => 1,
        }
    }
}

/// A list or table whose end has not come yet.
enum Open {
    List(Vec<YamlNode>),
    Table(Vec<(String, usize, YamlNode)>, Option<(String, usize)>),
}

struct Reader<'a> {
    file: &'a str,
    open: Vec<(Open, usize, usize)>,
    anchors: BTreeMap<usize, YamlNode>,
    values: usize,
    whole: Option<YamlNode>,
}

/// The first document of a text.
///
/// # Errors
/// [`Exit::Input`](diorite_model::Exit::Input): not YAML, too large, too deep; with the line.
pub(crate) fn parse(text: &str, file: &str) -> Result<YamlNode> {
    if text.len() > LARGEST {
        return Err(Error::input("this file is too large to be a compose file").at(file));
    }
    let mut reader = Reader { file, open: Vec::new(), anchors: BTreeMap::new(), values: 0, whole: None };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|e| {
            Error::input("this is not YAML").at(format!("{file}:{}", e.marker().line())).because(e.info())
        })?;
        if matches!(event, Event::DocumentEnd) {
            break;
        }
        reader.event(event, span.start.line())?;
    }
    Ok(reader.whole.unwrap_or(YamlNode { line: 1, kind: YamlKind::Null }))
}

impl Reader<'_> {
    fn event(&mut self, event: Event<'_>, line: usize) -> Result<()> {
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let null = style == ScalarStyle::Plain && matches!(&*text, "" | "~" | "null" | "Null" | "NULL");
                let kind = if null { YamlKind::Null } else { YamlKind::Text(text.into_owned()) };
                self.put(YamlNode { line, kind }, anchor)
            }
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor).cloned();
                self.put(node.ok_or_else(|| self.wrong(line, "an alias has no anchor"))?, 0)
            }
            Event::SequenceStart(anchor, _) => self.begin(Open::List(Vec::new()), line, anchor),
            Event::MappingStart(anchor, _) => self.begin(Open::Table(Vec::new(), None), line, anchor),
            Event::SequenceEnd | Event::MappingEnd => {
                let Some((open, line, anchor)) = self.open.pop() else { return Ok(()) };
                let kind = match open {
                    Open::List(items) => YamlKind::List(items),
                    Open::Table(entries, _) => YamlKind::Table(merged(entries)),
                };
                self.put(YamlNode { line, kind }, anchor)
            }
            _ => Ok(()),
        }
    }

    fn begin(&mut self, open: Open, line: usize, anchor: usize) -> Result<()> {
        if self.open.len() >= DEEPEST {
            return Err(self.wrong(line, "it is nested too deeply"));
        }
        self.open.push((open, line, anchor));
        Ok(())
    }

    /// A whole value: into what is open, or the document's own.
    fn put(&mut self, node: YamlNode, anchor: usize) -> Result<()> {
        self.values += node.count();
        if self.values > MOST * DEEPEST {
            return Err(self.wrong(node.line, "it has too many values"));
        }
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let (line, file) = (node.line, self.file);
        match self.open.last_mut() {
            None => self.whole = Some(node),
            Some((Open::List(items), _, _)) => items.push(node),
            Some((Open::Table(entries, key), _, _)) => match key.take() {
                Some((name, at)) => entries.push((name, at, node)),
                None => match node.kind {
                    YamlKind::Text(name) => *key = Some((name, line)),
                    _ => {
                        return Err(Error::input("this is no compose file")
                            .at(format!("{file}:{line}"))
                            .because("a key is no text"));
                    }
                },
            },
        }
        Ok(())
    }

    fn wrong(&self, line: usize, why: &str) -> Error {
        Error::input("this is no compose file").at(format!("{}:{line}", self.file)).because(why)
    }
}

/// A table with what its merge keys bring, YAML 1.1: a key of its own wins.
fn merged(entries: Vec<(String, usize, YamlNode)>) -> Vec<(String, usize, YamlNode)> {
    let (merges, mut own): (Vec<_>, Vec<_>) = entries.into_iter().partition(|(name, _, _)| name == "<<");
    for (_, _, node) in merges {
        let sources = if let YamlKind::List(items) = node.kind { items } else { vec![node] };
        for (name, line, value) in sources.iter().flat_map(|source| source.entries().iter().cloned()) {
            if !own.iter().any(|(other, _, _)| *other == name) {
                own.push((name, line, value));
            }
        }
    }
    own
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_know_their_lines_and_aliases_are_followed() {
        let node = parse("a: &x\n  b: 1\n  c: ~\nd:\n  <<: *x\n  b: 2\ne: [x, 'null']\n", "f").unwrap();
        let d = node.get("d").unwrap();
        assert_eq!((d.get("b").unwrap().text(), d.get("c").unwrap().text()), (Some("2"), None));
        assert_eq!(node.get("e").unwrap().items()[1].text(), Some("null"));
        assert_eq!(node.entries().iter().map(|(_, line, _)| *line).collect::<Vec<_>>(), [1, 4, 7]);
    }

    #[test]
    fn what_grows_or_nests_without_end_is_refused() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for n in 1..12 {
            bomb += &format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 10].join(", "));
        }
        assert!(parse(&bomb, "f").unwrap_err().to_string().contains("too many values"));
        assert!(parse(&"[".repeat(1000), "f").is_err() && parse("a: *b", "f").is_err());
        assert!(parse(&"x".repeat(LARGEST + 1), "f").unwrap_err().to_string().contains("too large"));
        assert!(parse("a: [1\nb: 2", "f").unwrap_err().to_string().contains("f:2"));
    }
}
