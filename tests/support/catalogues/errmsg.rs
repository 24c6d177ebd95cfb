//! The message files of MariaDB's packages. There is a file for each language, with the same
//! messages in the same order. Messages without a translation are in English.

use std::fs;
use std::path::Path;

use super::Message;
use super::gettext::names_in;
use super::pattern::pattern_of;

/// Returns the messages in all languages below a folder.
pub fn messages(folder: &Path) -> Vec<Message> {
    let english = texts_of(folder, "english").unwrap_or_else(|| {
        panic!(
            "there are no messages in {}: ./test installs the package mariadb-server",
            folder.display()
        )
    });
    let languages = names_in(folder).into_iter();
    let languages: Vec<_> = languages
        .filter(|language| language != "english")
        .filter_map(|language| texts_of(folder, &language).map(|texts| (language, texts)))
        .collect();
    let messages = english.iter().enumerate().filter_map(|(index, text)| {
        let translations = languages.iter().filter_map(|(language, texts)| {
            let translation = texts
                .get(index)
                .filter(|translation| *translation != text)?;
            Some((language.clone(), pattern_of(translation)?))
        });
        Some(Message {
            english: pattern_of(text)?,
            translations: translations.collect(),
        })
    });
    messages.collect()
}

/// Returns the texts of a language. They follow their offsets, and each ends with a NUL.
fn texts_of(folder: &Path, language: &str) -> Option<Vec<String>> {
    let file = fs::read(folder.join(language).join("errmsg.sys")).ok()?;
    let length = file.get(6..10)?.try_into().expect("four bytes");
    let length = usize::try_from(u32::from_le_bytes(length)).expect("a length");
    let texts = &file[file.len() - length..];
    let texts = texts
        .split(|byte| *byte == 0)
        .map(|text| String::from_utf8(text.to_vec()).expect("a text in UTF-8"));
    Some(texts.collect())
}
