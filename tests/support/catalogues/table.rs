//! The library's tables: see `crates/persisting-message-bus/src/sql/texts.rs`.

use persisting_message_bus::sql::fingerprint_of;

use super::Message;

/// A table: for each message, its class and its patterns in all languages.
pub struct Table {
    pub rows: Vec<(String, Vec<String>)>,
}

impl Table {
    /// Parses a table.
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

/// The form in which translations are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As texts.
    Text,
    /// As numbers, because the licence does not allow copies of the texts.
    Fingerprint,
}

impl Form {
    /// Returns the stored form of a pattern.
    #[must_use]
    pub fn of(self, pattern: &str) -> String {
        match self {
            Self::Text => pattern.to_owned(),
            // The server's name of an option.
            Self::Fingerprint => {
                let text = pattern.replace("*read-only*", "--read-only");
                format!("#{:016x}", fingerprint_of(&text))
            }
        }
    }
}

/// Returns the table with the translations of a catalogue, and with those that the catalogue no
/// longer has.
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

/// Returns the lines for a message of a catalogue. The text between two stars is kept in each line.
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

/// Returns the fixed value in a pattern such as `*read-only*`.
fn value_of(pattern: &str) -> Option<&str> {
    let (begin, end) = (pattern.find('*')?, pattern.rfind('*')?);
    let value = &pattern[begin..=end];
    let is_value = value.len() > 2 && !value.contains([' ', '"', '\'']);
    (is_value && value.matches('*').count() == 2).then_some(value)
}

/// Parses the class and the message in English: `[transient] deadlock detected`.
fn heading(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix('[')?.split_once("] ")
}

/// Parses the language and the message: `de Verklemmung entdeckt`.
fn translation(line: &str) -> Option<(&str, &str)> {
    let (language, text) = line.split_once(' ')?;
    let is_language = language
        .chars()
        .all(|character| character.is_ascii_alphabetic() || "_-@".contains(character));
    (is_language && !line.starts_with('[')).then_some((language, text))
}
