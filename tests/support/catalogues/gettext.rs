//! Installed catalogues of GNU gettext.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::Message;
use super::pattern::pattern_of;

/// Returns the messages in all languages, from catalogues whose names begin with one of `names`.
pub fn messages(folder: &Path, names: &[&str]) -> Vec<Message> {
    let mut messages: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for language in names_in(folder) {
        let catalogues = folder.join(&language).join("LC_MESSAGES");
        for name in names_in(&catalogues) {
            let is_meant = names.iter().any(|prefix| name.starts_with(prefix));
            if !is_meant || !name.ends_with(".mo") {
                continue;
            }
            let catalogue = fs::read(catalogues.join(&name)).expect("a catalogue");
            for (english, translation) in texts(&catalogue) {
                let patterns = (pattern_of(&english), pattern_of(&translation));
                if let (Some(english), Some(translation)) = patterns {
                    let translations = messages.entry(english).or_default();
                    let translation = (language.clone(), translation);
                    if !translations.contains(&translation) {
                        translations.push(translation);
                    }
                }
            }
        }
    }
    assert!(
        !messages.is_empty(),
        "there are no translations in {}: are the server's packages installed without them?",
        folder.display()
    );
    let messages = messages.into_iter();
    let messages = messages.map(|(english, translations)| Message {
        english,
        translations,
    });
    messages.collect()
}

/// Returns the names in a folder, or none if it does not exist.
pub fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

/// Returns the texts of a catalogue with their translations. A text with a plural has an entry for
/// each form.
fn texts(catalogue: &[u8]) -> Vec<(String, String)> {
    let number = |at: usize| -> usize {
        let bytes = catalogue[at..at + 4].try_into().expect("four bytes");
        u32::from_le_bytes(bytes) as usize
    };
    assert_eq!(number(0), 0x9504_12de, "not a catalogue of this machine");
    let text = |table: usize, index: usize| {
        let [length, offset] = [0, 4].map(|field| number(table + 8 * index + field));
        let bytes = &catalogue[offset..offset + length];
        String::from_utf8(bytes.to_vec()).expect("a text in UTF-8")
    };
    let (originals, translations) = (number(12), number(16));
    let mut texts = Vec::new();
    for index in 0..number(8) {
        // The context precedes the text.
        let original = text(originals, index);
        let original = original.rsplit('\u{4}').next().unwrap_or_default();
        let translation = text(translations, index);
        for english in original.split('\0') {
            let forms = translation.split('\0');
            texts.extend(forms.map(|form| (english.to_owned(), form.to_owned())));
        }
    }
    texts
}
