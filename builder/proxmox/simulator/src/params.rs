//! Parameters of a call, those of its path included.

/// Names with their values, in the order in which they came.
#[derive(Debug, Clone, Default)]
pub(crate) struct Params(pub Vec<(String, String)>);

impl Params {
    /// The value of a parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The value of a parameter; empty when it was not sent.
    pub fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    /// Each with its name, without those of these names.
    pub fn without(&self, names: &[&str]) -> impl Iterator<Item = (String, String)> {
        self.0.iter().filter(move |(name, _)| !names.contains(&name.as_str())).cloned()
    }
}
