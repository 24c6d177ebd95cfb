//! The library's tables: see `crates/persisting-message-bus/src/diesel/texts.rs`.

use persisting_message_bus::diesel::fingerprint_of;

use super::Message;

/// A table: what is to be expected, and the patterns of a message in all its languages.
pub struct Table {
    pub rows: Vec<(String, Vec<String>)>,
}

impl Table {
    /// Reads one.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let mut rows: Vec<(String, Vec<String>)> = Vec::new();
        for line in text.lines() {
            if let Some((class, english)) = heading(line) {
                rows.push((class.to_owned(), vec![english.to_owned()]));
            } else if let (Some((_, translation)), Some((_, patterns))) =
                (translation(line), rows.last_mut())
            {
                patterns.push(translation.to_owned());
            }
        }
        Self { rows }
    }
}

/// How translations are written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As they are.
    Text,
    /// As numbers: they are not free to be copied.
    Fingerprint,
}

impl Form {
    /// What stands for a pattern.
    #[must_use]
    pub fn of(self, pattern: &str) -> String {
        match self {
            Self::Text => pattern.to_owned(),
            // That of an option, as the server names it.
            Self::Fingerprint => {
                let text = pattern.replace("*read-only*", "--read-only");
                format!("#{:016x}", fingerprint_of(&text))
            }
        }
    }
}

/// The table with the translations that a catalogue has, and those that it does not have any more.
#[must_use]
pub fn with_translations(text: &str, catalogue: &[Message], form: Form) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut rest = text.lines().peekable();
    while let Some(line) = rest.next() {
        lines.push(line.to_owned());
        let Some((_, english)) = heading(line) else {
            continue;
        };
        let mut known: Vec<_> = translations_of(english, catalogue, form);
        while let Some(line) = rest.next_if(|line| translation(line).is_some()) {
            known.push(line.to_owned());
        }
        known.sort();
        known.dedup();
        lines.extend(known);
    }
    lines.join("\n") + "\n"
}

/// The lines that a message has in a catalogue. What stands between two stars stands there in each of them.
fn translations_of(english: &str, catalogue: &[Message], form: Form) -> Vec<String> {
    let value = value_of(english);
    let plain = value.map_or(english.to_owned(), |value| english.replace(value, "*"));
    let messages = catalogue.iter().filter(|message| message.english == plain);
    let translations = messages.flat_map(|message| &message.translations);
    let lines = translations.map(|(language, pattern)| match value {
        Some(value) => format!("{language} {}", form.of(&pattern.replace('*', value))),
        None => format!("{language} {}", form.of(pattern)),
    });
    lines.collect()
}

/// Such as `*read-only*`.
fn value_of(pattern: &str) -> Option<&str> {
    let (begin, end) = (pattern.find('*')?, pattern.rfind('*')?);
    let value = &pattern[begin..=end];
    let is_value = value.len() > 2 && !value.contains([' ', '"', '\'']);
    (is_value && value.matches('*').count() == 2).then_some(value)
}

/// The class and the message in English: `[transient] deadlock detected`.
fn heading(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix('[')?.split_once("] ")
}

/// The language and the message: `de Verklemmung entdeckt`.
fn translation(line: &str) -> Option<(&str, &str)> {
    let (language, text) = line.split_once(' ')?;
    let is_language = language
        .chars()
        .all(|character| character.is_ascii_alphabetic() || "_-@".contains(character));
    (is_language && !line.starts_with('[')).then_some((language, text))
}
