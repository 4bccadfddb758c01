//! SealedTree + what `configure` programs changed → `tree.manifest`.

use crate::configure::{Change, ChangeKind};
use crate::seal::SealedTree;
use crate::tree::listing::shown;
use diorite_model::recipe::FileFilter;
use std::fmt::Write;

/// The listing of what was sealed; behind it which files of packages were not unpacked (`left-out documentation`,
/// `left-out translations, all but LANGUAGES`), and what programs of overlays did, in the order in which they ran:
/// `added|changed|removed configure:OVERLAY PATH[ mode OLD → NEW][ owner OLD → NEW]`, paths as the programs saw them.
pub fn write(sealed: &SealedTree, filter: &FileFilter, changes: &[Change]) -> String {
    let mut text = sealed.tree().listing();
    if !filter.documentation {
        text.push_str("left-out documentation\n");
    }
    if let Some(languages) = &filter.translations {
        let kept = if languages.is_empty() { "none".to_owned() } else { languages.join(" ") };
        let _ = writeln!(text, "left-out translations, all but {kept}");
    }
    for change in changes {
        let path: Vec<u8> = change.path.chars().map(|c| c as u8).collect();
        let (verb, more) = match &change.how {
            ChangeKind::Added => ("added", &[][..]),
            ChangeKind::Removed => ("removed", &[][..]),
            ChangeKind::Changed(words) => ("changed", words.as_slice()),
        };
        let _ = write!(text, "{verb} configure:{} /{}", change.overlay, shown(&path));
        more.iter().for_each(|word| text.push_str(&format!(" {word}")));
        text.push('\n');
    }
    text
}
