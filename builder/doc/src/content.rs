//! What a document says, before it is HTML or Markdown.

use crate::plan::NetworkPlan;
use diorite_model::report::Verdict;

/// The whole document.
pub(crate) struct ServerDocument {
    /// Its title.
    pub title: String,
    /// What stands under it.
    pub subtitle: String,
    /// What was measured of this very image, in a sentence.
    pub standing: Cell,
    /// Whether that is good news; `None`: nothing was measured.
    pub passed: Option<bool>,
    /// Which image it is about.
    pub facts: Vec<Fact>,
    /// Everything else.
    pub sections: Vec<DocumentSection>,
}

/// A chapter.
pub(crate) struct DocumentSection {
    /// What links lead to.
    pub id: &'static str,
    /// Its title.
    pub title: String,
    /// What it says, in order.
    pub blocks: Vec<Block>,
}

/// A name and what is said of it.
pub(crate) type Fact = (String, Cell);

/// Part of a chapter.
pub(crate) enum Block {
    /// Title of what follows.
    Heading(String),
    /// A paragraph.
    Text(Cell),
    /// Something that is not known, or that needs somebody's attention.
    Remark(Cell),
    /// Names, and what is said of each.
    Facts(Vec<Fact>),
    /// Rows and columns.
    Table(DocumentTable),
    /// Items.
    List(Vec<Cell>),
    /// Commands, a line each.
    Commands(Vec<String>),
    /// The drawn network plan.
    Plan(NetworkPlan),
}

/// Rows and columns.
#[derive(Default)]
pub(crate) struct DocumentTable {
    /// Names of the columns.
    pub head: Vec<String>,
    /// As many cells in each as there are columns.
    pub rows: Vec<Vec<Cell>>,
    /// Targets of links to rows, where there are any: one for each row.
    pub ids: Vec<String>,
}

/// A text with some words set apart.
#[derive(Clone, Default)]
pub(crate) struct Cell(pub Vec<TextSpan>);

/// Part of a text.
#[derive(Clone)]
pub(crate) enum TextSpan {
    /// Words.
    Plain(String),
    /// What is typed or compared letter by letter.
    Code(String),
    /// What a check said: its id and verdict. The words are in the document's language.
    Proof {
        /// The check.
        id: String,
        /// What it said.
        verdict: Verdict,
        /// The same in words.
        words: String,
    },
    /// Said in a low voice: that nothing is known.
    Soft(String),
    /// The end of a line.
    Break,
}

impl DocumentTable {
    pub(crate) fn new(head: impl IntoIterator<Item = String>) -> Self {
        Self { head: head.into_iter().collect(), ..Self::default() }
    }
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
        assert_eq!(self.rows.last().map(Vec::len), Some(self.head.len()), "a row has a cell for each column");
    }
}

impl Cell {
    pub(crate) fn code(text: impl Into<String>) -> Self {
        Self(vec![TextSpan::Code(text.into())])
    }
    pub(crate) fn soft(text: impl Into<String>) -> Self {
        Self(vec![TextSpan::Soft(text.into())])
    }
    /// Each on a line of its own.
    pub(crate) fn lines(all: impl IntoIterator<Item = Cell>) -> Self {
        let mut whole = Vec::new();
        for cell in all.into_iter().filter(|cell| !cell.0.is_empty()) {
            if !whole.is_empty() {
                whole.push(TextSpan::Break);
            }
            whole.extend(cell.0);
        }
        Self(whole)
    }
    /// Each on a line of its own, letter by letter.
    pub(crate) fn codes<T: ToString>(all: impl IntoIterator<Item = T>) -> Self {
        Self::lines(all.into_iter().map(|text| Self::code(text.to_string())))
    }
    /// This one, or a dash where there is nothing.
    pub(crate) fn or_dash(self) -> Self {
        if self.0.is_empty() { Self::from("–") } else { self }
    }
    pub(crate) fn then(mut self, other: impl Into<Cell>) -> Self {
        self.0.extend(other.into().0);
        self
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self(vec![TextSpan::Plain(text.to_owned())])
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self(vec![TextSpan::Plain(text)])
    }
}

/// Bytes as people say them.
pub(crate) fn bytes(count: u64) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units.into_iter().find(|(unit, _)| count >= *unit && count.is_multiple_of(*unit)) {
        Some((unit, name)) => format!("{} {name}", count / unit),
        None if count >= 1 << 20 => format!("{} MiB", count.div_ceil(1 << 20)),
        None if count >= 1 << 10 => format!("{} KiB", count.div_ceil(1 << 10)),
        None => format!("{count} B"),
    }
}
