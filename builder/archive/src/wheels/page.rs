//! A page of an index of wheels: the files of one distribution, as JSON (PEP 691, with the sizes of PEP 700) or as HTML
//! (PEP 503). What it says of a file is only believed as far as the file's SHA-256 is that of the requirement.

use crate::url;
use diorite_model::Digest;
use serde::Deserialize;
use std::collections::BTreeMap;

/// One file that an index names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexFile {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// Its SHA-256, where the index says it.
    pub sha256: Option<Digest>,
    /// Its bytes, where the index says them.
    pub size: Option<u64>,
    /// The versions of Python that it is for, where the index says them.
    pub requires_python: Option<String>,
    /// Why its author withdrew it, if that happened.
    pub yanked: Option<String>,
}

#[derive(Deserialize)]
struct JsonPage {
    files: Vec<JsonFile>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct JsonFile {
    filename: String,
    url: String,
    #[serde(default)]
    hashes: BTreeMap<String, String>,
    size: Option<u64>,
    requires_python: Option<String>,
    #[serde(default)]
    yanked: Yanked,
}

/// `false`, `true`, or a reason.
#[derive(Deserialize)]
#[serde(untagged)]
enum Yanked {
    Word(bool),
    Reason(String),
}

impl Default for Yanked {
    fn default() -> Self {
        Self::Word(false)
    }
}

/// The files that a page names, `place` being its URL. Error: a cause in words.
pub fn read(page: &[u8], place: &str) -> Result<Vec<IndexFile>, String> {
    let text = std::str::from_utf8(page).map_err(|_| "the answer is not UTF-8 text")?;
    match text.trim_start().starts_with('{') {
        true => json(text, place),
        false => html(text, place),
    }
}

fn json(text: &str, place: &str) -> Result<Vec<IndexFile>, String> {
    let page: JsonPage =
        serde_json::from_str(text).map_err(|e| format!("the answer is not a page of an index: {e}"))?;
    let one = |file: JsonFile| {
        let yanked = match file.yanked {
            Yanked::Word(false) => None,
            Yanked::Word(true) => Some(String::new()),
            Yanked::Reason(why) => Some(why),
        };
        Some(IndexFile {
            url: resolved(place, &file.url)?,
            name: file.filename,
            sha256: file.hashes.get("sha256").and_then(|digest| digest.parse().ok()),
            size: file.size,
            requires_python: file.requires_python,
            yanked,
        })
    };
    Ok(page.files.into_iter().filter_map(one).collect())
}

fn html(text: &str, place: &str) -> Result<Vec<IndexFile>, String> {
    let (mut files, mut rest, mut base, mut any) = (Vec::new(), text, place.to_owned(), false);
    while let Some((tag, behind)) = next_tag(rest) {
        rest = behind;
        let name = tag.split(|c: char| c.is_ascii_whitespace() || c == '/').next().unwrap_or_default();
        let attribute =
            |wanted: &str| attributes(tag).find(|(key, _)| key.eq_ignore_ascii_case(wanted)).map(|(_, v)| v);
        if name.eq_ignore_ascii_case("base") {
            base = attribute("href").and_then(|href| resolved(place, &href)).unwrap_or(base);
        }
        if !name.eq_ignore_ascii_case("a") {
            continue;
        }
        any = true;
        let Some(href) = attribute("href") else { continue };
        let (link, fragment) = href.split_once('#').unwrap_or((&href, ""));
        let Some(url) = resolved(&base, link) else { continue };
        let shown = behind.split('<').next().unwrap_or_default();
        let hash = fragment.split('&').find_map(|part| part.strip_prefix("sha256="));
        files.push(IndexFile {
            url,
            name: unescaped(shown).trim().to_owned(),
            sha256: hash.and_then(|digest| digest.parse().ok()),
            size: None,
            requires_python: attribute("data-requires-python"),
            yanked: attribute("data-yanked"),
        });
    }
    if any {
        Ok(files)
    } else {
        Err("the answer is not a page of an index: it is not JSON, and has no links (the login page of a network?)"
            .into())
    }
}

/// What stands between the next `<` and its `>`, and what follows. A `>` in quotes belongs to the tag.
fn next_tag(text: &str) -> Option<(&str, &str)> {
    let start = text.find('<')? + 1;
    let mut quote = None;
    for (at, c) in text[start..].char_indices() {
        match (quote, c) {
            (None, '>') => return Some((&text[start..start + at], &text[start + at + 1..])),
            (None, '"' | '\'') => quote = Some(c),
            (Some(q), c) if q == c => quote = None,
            _ => {}
        }
    }
    None
}

/// `key="value"` of a tag; a key without a value has an empty one.
fn attributes(tag: &str) -> impl Iterator<Item = (&str, String)> {
    let name = tag.find(|c: char| c.is_ascii_whitespace()).unwrap_or(tag.len());
    let mut rest = &tag[name..];
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '/');
        let end = rest.find(|c: char| c.is_ascii_whitespace() || c == '=').unwrap_or(rest.len());
        let key = &rest[..end];
        if key.is_empty() {
            return None;
        }
        rest = rest[end..].trim_start();
        let Some(value) = rest.strip_prefix('=') else { return Some((key, String::new())) };
        let value = value.trim_start();
        let (value, behind) = match value.chars().next() {
            Some(quote @ ('"' | '\'')) => value[1..].split_once(quote).unwrap_or((&value[1..], "")),
            _ => value.split_at(value.find(|c: char| c.is_ascii_whitespace()).unwrap_or(value.len())),
        };
        rest = behind;
        Some((key, unescaped(value)))
    })
}

/// Character references as pages of indexes have them.
fn unescaped(text: &str) -> String {
    let all = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&#x27;", "'"),
        ("&#43;", "+"),
        ("&amp;", "&"),
    ];
    all.iter().fold(text.to_owned(), |text, (reference, meant)| text.replace(reference, meant))
}

/// A link of a page as a URL, RFC 3986 5.2, without what follows `#`; none where it is of another kind.
fn resolved(place: &str, link: &str) -> Option<String> {
    let link = link.split('#').next().unwrap_or_default().trim();
    if link.chars().any(|c| c.is_control() || c == ' ') || link.is_empty() {
        return None;
    }
    let url = url::redirect(place, link)?;
    let (scheme, rest) = url.split_once("://")?;
    url::scheme(&url)?;
    let (path, query) = match rest.find('?') {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "." => {}
            // The first part is the host.
            ".." => drop((parts.len() > 1).then(|| parts.pop())),
            part => parts.push(part),
        }
    }
    Some(format!("{scheme}://{}{query}", parts.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: &str = "https://index.example/root/simple/flask/";

    #[test]
    fn json_and_html_say_the_same() {
        let digest = Digest::of(b"x");
        let json = format!(
            r#"{{"meta": {{"api-version": "1.1"}}, "name": "flask", "files": [
                {{"filename": "flask-1-py3-none-any.whl", "url": "../../files/flask-1-py3-none-any.whl",
                  "hashes": {{"sha256": "{digest}"}}, "size": 7, "requires-python": ">=3.8", "yanked": "broken", "core-metadata": false}},
                {{"filename": "flask-2.tar.gz", "url": "https://files.example/flask-2.tar.gz", "hashes": {{}}, "yanked": false}}
            ]}}"#
        );
        let html = format!(
            "<!DOCTYPE html><html><head><meta name=\"pypi:repository-version\" content=\"1.0\"></head><body><h1>Links</h1>\
             <A data-yanked=\"broken\" data-requires-python=\"&gt;=3.8\" HREF='../../files/flask-1-py3-none-any.whl#sha256={digest}'>\
             flask-1-py3-none-any.whl</A><br/>\n\
             <a href=\"https://files.example/flask-2.tar.gz#md5=00\" rel=internal data-x>flask-2.tar.gz</a></body></html>"
        );
        let files = read(json.as_bytes(), PLACE).unwrap();
        assert_eq!(files[0].url, "https://index.example/root/files/flask-1-py3-none-any.whl");
        assert_eq!((files[0].sha256, files[0].size), (Some(digest), Some(7)));
        assert_eq!((files[0].requires_python.as_deref(), files[0].yanked.as_deref()), (Some(">=3.8"), Some("broken")));
        assert_eq!((files[1].sha256, files[1].yanked.as_deref()), (None, None));
        let mut other = read(html.as_bytes(), PLACE).unwrap();
        other[0].size = Some(7);
        assert_eq!(other, files);
    }

    #[test]
    fn links_stay_what_they_are() {
        let of = |link: &str| resolved(PLACE, link);
        assert_eq!(of("/x.whl").unwrap(), "https://index.example/x.whl");
        assert_eq!(of("//files.example/a/./b/../x.whl?sig=/../").unwrap(), "https://files.example/a/x.whl?sig=/../");
        assert_eq!(of("../../../../../x.whl").unwrap(), "https://index.example/x.whl");
        assert_eq!(resolved("file:///srv/simple/a/index.html", "../b/x.whl").unwrap(), "file:///srv/simple/b/x.whl");
        for bad in ["", "#x", "ftp://files.example/x.whl", "a b", "javascript://x"] {
            assert_eq!(of(bad), None, "{bad}");
        }
        let based = "<base href=\"https://files.example/d/\"><a href=\"x-1-py3-none-any.whl\">x-1-py3-none-any.whl</a>";
        assert_eq!(read(based.as_bytes(), PLACE).unwrap()[0].url, "https://files.example/d/x-1-py3-none-any.whl");
    }

    #[test]
    fn what_is_no_page_is_said() {
        for bad in [&b"hello"[..], b"{", b"{\"files\": 1}", b"[]", b"\xff"] {
            assert!(read(bad, PLACE).is_err(), "{bad:?}");
        }
        // Cut or twisted, it ends.
        for odd in
            ["<a href=\"x", "<a href='>", "<a href=x>y", "<>", "<a =\"x\">", "<a href>", "<a/ / /href = x >z</a>"]
        {
            let _ = read(odd.as_bytes(), PLACE);
        }
    }
}
