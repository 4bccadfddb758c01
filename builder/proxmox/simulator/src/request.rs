//! One request's head and its form, as pve-http-server reads them.

use crate::percent::decode;
use std::io::{BufRead as _, BufReader, Read};

/// Largest head, and largest form, in bytes.
const HEAD: u64 = 8 << 10;
pub(crate) const FORM: u64 = 512 << 10;

/// The server splits at `;` as well as at `&`, and cuts a value at a second `=`.
pub(crate) fn form(text: &str) -> Vec<(String, String)> {
    let pairs = text.split(['&', ';']).filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let mut parts = pair.split('=').map(|part| decode(&part.replace('+', " ")));
            (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
        })
        .collect()
}

/// One request's head.
pub(crate) struct Head {
    pub method: String,
    pub path: String,
    pub query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
}

impl Head {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }
}

pub(crate) fn head<R: Read>(reader: &mut BufReader<R>) -> Option<Head> {
    let mut lines = Vec::new();
    let mut limited = reader.take(HEAD);
    loop {
        let mut line = String::new();
        limited.read_line(&mut line).ok()?;
        match line.strip_suffix("\r\n")? {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let mut first = lines.first()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let split = |line: &String| line.split_once(':').map(|(n, v)| (n.to_owned(), v.trim().to_owned()));
    Some(Head {
        method,
        path: path.to_owned(),
        query: form(query),
        headers: lines[1..].iter().filter_map(split).collect(),
    })
}
