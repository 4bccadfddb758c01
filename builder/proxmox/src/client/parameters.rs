//! Paths and parameters of calls, encoded so that the server reads them as they were meant.

use std::borrow::Cow;
use std::fmt;

/// Everything but RFC 3986's unreserved characters is encoded: the server splits a form at `&` and at `;`, and cuts a
/// value at a bare `=`.
fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => out += &format!("%{byte:02X}"),
        }
    }
    out
}

/// A path below `/api2/json`, encoded name by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path(String);

impl Path {
    /// From its names: `["nodes", node, "storage"]`.
    pub fn new<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> Self {
        Self(names.into_iter().map(|name| format!("/{}", encode(name.as_ref()))).collect())
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Parameters of a call, by name. The server refuses names it does not know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parameters(Vec<(Cow<'static, str>, String)>);

impl Parameters {
    /// None.
    pub fn none() -> Self {
        Self::default()
    }
    /// A string.
    pub fn text(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) -> Self {
        self.0.push((name.into(), value.into()));
        self
    }
    /// An integer.
    pub fn number(self, name: impl Into<Cow<'static, str>>, value: u64) -> Self {
        self.text(name, value.to_string())
    }
    /// A boolean, which Proxmox VE writes as 1 or 0.
    pub fn flag(self, name: impl Into<Cow<'static, str>>, value: bool) -> Self {
        self.text(name, if value { "1" } else { "0" })
    }
    /// An array: the name is repeated.
    pub fn list<T: Into<String>>(mut self, name: &'static str, values: impl IntoIterator<Item = T>) -> Self {
        self.0.extend(values.into_iter().map(|value| (Cow::Borrowed(name), value.into())));
        self
    }
    /// Each with its name, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value.as_str()))
    }
    /// As a form or a query.
    pub fn encoded(&self) -> String {
        self.0.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect::<Vec<_>>().join("&")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_separates_is_encoded() {
        let form = Parameters::none().text("tags", "a;b").text("agent", "enabled=1").flag("start", true);
        assert_eq!(form.encoded(), "tags=a%3Bb&agent=enabled%3D1&start=1");
        assert_eq!(Parameters::none().list("command", ["a b", "c+d"]).encoded(), "command=a%20b&command=c%2Bd");
        assert_eq!(
            Path::new(["nodes", "pve1", "local:import/x.qcow2"]).to_string(),
            "/nodes/pve1/local%3Aimport%2Fx.qcow2"
        );
    }
}
