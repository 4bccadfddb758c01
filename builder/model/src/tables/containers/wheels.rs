//! `containers.NAME.wheels` and `containers.NAME.requirements`: what a Python application is made of.

use crate::Result;
use crate::profile::section::{At, Section};
use crate::profile::source::Span;
use crate::python::{self, Pinned};

/// All of them, sorted. `image`: the container's root is an image that others made.
pub(super) fn wheels(t: &Section, image: bool) -> Result<Vec<Pinned>> {
    let (file, said) = (t.text("wheels")?, t.texts("requirements")?);
    let first = [file.as_ref().map(|f| ("wheels", f.span)), said.first().map(|s| ("requirements", s.span))];
    let Some((key, span)) = first.into_iter().flatten().next() else { return Ok(Vec::new()) };
    if image {
        let error = t.files.error(span, format!("`{}.{key}` needs a container that is made of packages", t.path));
        return Err(error
            .because("an image brings a Python of its own, if it has one, with what its author installed")
            .hint("make the container of `packages` with `python3`, or put the wheels into the image"));
    }
    let mut all = Vec::new();
    if let Some(file) = &file {
        all.extend(of_file(t, file)?);
    }
    for At { value, span } in said {
        let pinned = Pinned::parse(&value).map_err(|cause| {
            t.files.error(span, format!("`{}.requirements` cannot hold this", t.path)).because(cause)
        })?;
        all.push(At { value: pinned, span });
    }
    let order = |p: &Pinned| (p.name.clone(), p.version.clone(), p.to_string());
    all.sort_by_cached_key(|at| order(&at.value));
    for pair in all.windows(2) {
        let (one, other) = (&pair[0], &pair[1]);
        // Which of those with markers count is known with the interpreter.
        if one.value.name == other.value.name && (one.value.marker.is_none() || other.value.marker.is_none()) {
            return Err(twice(t, one, other));
        }
    }
    Ok(all.into_iter().map(|at| at.value).collect())
}

fn twice(t: &Section, one: &At<Pinned>, other: &At<Pinned>) -> crate::Error {
    let (first, second) = if one.span.start <= other.span.start { (one, other) } else { (other, one) };
    let what = format!("`{}` is asked for twice for `{}`", one.value.name, t.path);
    let lines = format!(
        "{}\nthe other one is at {}\n{}",
        t.files.show(second.span),
        t.files.place(first.span),
        t.files.show(first.span)
    );
    t.files.error(second.span, what).detail(lines).hint("remove one of them")
}

/// Those of a file of requirements.
fn of_file(t: &Section, path: &At<String>) -> Result<Vec<At<Pinned>>> {
    let Some((file, text)) = t.files.attached(&path.value) else {
        let error = t.files.error(path.span, format!("`{}.wheels` names a file that is not at hand", t.path));
        return Err(error.hint("write its lines as `requirements = [\"…\"]`"));
    };
    let lines = python::read(text).map_err(|error| {
        let span = Span { file, start: error.at.start, end: error.at.end };
        let said = t.files.error(span, "a requirement cannot be used").because(error.cause);
        if error.hint.is_empty() { said } else { said.hint(error.hint) }
    })?;
    if lines.is_empty() {
        let error = t.files.error(path.span, format!("`{}.wheels` names a file without requirements", t.path));
        return Err(error.hint("write one a line: `name==version --hash=sha256:…`, or remove the key"));
    }
    let at = |line: python::RequirementLine| At {
        value: line.pinned,
        span: Span { file, start: line.at.start, end: line.at.end },
    };
    Ok(lines.into_iter().map(at).collect())
}
