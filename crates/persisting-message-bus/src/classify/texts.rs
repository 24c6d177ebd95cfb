//! Classifies the texts of database messages, in all languages of the servers.
//!
//! Each database has a table, `texts.txt`. A line such as `[transient] deadlock detected` is a
//! message in English, with `*` in place of each value. The lines below it are its translations,
//! each after the name of its language. If one specific value decides the class, that value stands
//! between two stars.
//!
//! `cargo run -p persisting-message-bus-tests --bin server-texts` writes the translations of the
//! installed servers. MariaDB's translations are under the GPL and are not copied. Its table
//! contains a number in place of each translation: the fingerprint.
//!
//! A text must match a message as a whole. A message that is only quoted in another text, or in a
//! value, does not count.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::classify::fingerprint::fingerprint_of;
use crate::error::class::Class;

const TABLES: &[&str] = &[
    #[cfg(feature = "sqlite")]
    include_str!("../sql/sqlite/texts.txt"),
    #[cfg(feature = "postgres_backend")]
    include_str!("../sql/postgres/texts.txt"),
    #[cfg(feature = "mysql_backend")]
    include_str!("../sql/mysql/texts.txt"),
];

/// The patterns by first character. A pattern that begins with a value is under `*`.
static ROWS: LazyLock<HashMap<char, Vec<(Class, &str)>>> = LazyLock::new(|| {
    let mut by_first: HashMap<_, Vec<_>> = HashMap::new();
    for (class, pattern) in TABLES.iter().flat_map(|table| rows(table)) {
        if let Some(first) = pattern.chars().next()
            && fingerprint_in(pattern).is_none()
        {
            by_first.entry(first).or_default().push((class, pattern));
        }
    }
    by_first
});

/// The classes of messages by fingerprint.
static FINGERPRINTS: LazyLock<HashMap<u64, Class>> = LazyLock::new(|| {
    let rows = TABLES.iter().flat_map(|table| rows(table));
    rows.filter_map(|(class, text)| Some((fingerprint_in(text)?, class)))
        .collect()
});

/// Reads a fingerprint such as `#00c0ffee00c0ffee`.
fn fingerprint_in(text: &str) -> Option<u64> {
    u64::from_str_radix(text.strip_prefix('#')?, 16).ok()
}

/// Returns the class of a database message, if it is known.
pub(super) fn class_of_text(text: &str) -> Option<Class> {
    let text = text.trim();
    let text = text.split_once(":  ").map_or(text, |(severity, message)| {
        // libpq puts severity and message into one text: "FEHLER:  ...".
        if severity.contains(char::is_whitespace) {
            text
        } else {
            message
        }
    });
    // Further lines are details.
    let first_line = text.lines().next()?.trim_end();
    let beginnings = [text.chars().next()?, '*'];
    let rows = beginnings.iter().filter_map(|first| ROWS.get(first));
    let found = rows
        .flatten()
        .find(|(_, pattern)| matches(pattern, text) || matches(pattern, first_line));
    let by_fingerprint = || FINGERPRINTS.get(&fingerprint_of(first_line));
    found
        .map(|(class, _)| class)
        .or_else(by_fingerprint)
        .copied()
}

/// Returns the patterns of a table with their classes.
fn rows(table: &str) -> impl Iterator<Item = (Class, &str)> {
    let mut class = None;
    table.lines().filter_map(move |line| {
        if let Some((name, english)) = heading(line) {
            class = class_named(name);
            return Some((class?, english));
        }
        let (language, translation) = line.split_once(' ')?;
        (language != "#").then_some((class?, translation))
    })
}

/// Returns the name of the class, and the message in English.
fn heading(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix('[')?.split_once("] ")
}

fn class_named(name: &str) -> Option<Class> {
    Some(match name {
        "transient" => Class::Transient,
        "disconnected" => Class::Disconnected,
        "unprepared" => Class::Unprepared,
        "aborted" => Class::Aborted,
        "too large" => Class::TooLarge,
        "refused" => Class::Refused,
        "undefined" => Class::Undefined,
        _ => return None,
    })
}

/// Returns `true` if a text matches a pattern, in which `*` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let Some(last) = parts.next_back() else {
        return rest.is_empty();
    };
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else {
            return false;
        };
        rest = after;
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_a_table_is_understood() {
        for table in TABLES {
            let lines = table.lines();
            let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
            for line in lines.clone().filter_map(heading) {
                assert!(class_named(line.0).is_some(), "{line:?}");
            }
            assert_eq!(rows(table).count(), lines.count());
        }
    }

    #[test]
    fn what_a_database_says_is_classified_as_its_table_has_it() {
        let rows = TABLES.iter().flat_map(|table| rows(table));
        for (class, pattern) in rows.filter(|(_, text)| fingerprint_in(text).is_none()) {
            for value in ["a value", "\"orders\" (id = 7)", "a: b"] {
                let text = pattern.replace('*', value);
                assert_eq!(class_of_text(&text), Some(class), "{text}");
            }
        }
    }

    #[test]
    fn values_stand_where_they_may() {
        for (pattern, text, is_it) in [
            ("deadlock", "deadlock", true),
            ("deadlock", "a deadlock", false),
            ("deadlock", "deadlocks", false),
            ("a * of *", "a b of c", true),
            ("a * of *", "a  of ", true),
            ("a * of *", "a b c", false),
            ("* of *, * of *", "1 of 2, 3 of 4", true),
            ("* of *, * of *", "1 of 2", false),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("a*b*b", "ab", false),
        ] {
            assert_eq!(matches(pattern, text), is_it, "{pattern} {text}");
        }
    }

    #[cfg(feature = "postgres_backend")]
    #[test]
    fn a_message_is_found_after_its_severity_and_before_its_details() {
        for text in [
            "deadlock detected",
            "ERROR:  deadlock detected\nDETAIL:  Process 1 waits for ...\n",
            "FEHLER:  Verklemmung (Deadlock) entdeckt\n",
            "server closed the connection unexpectedly\n\tThis probably means the server terminated\n",
        ] {
            assert!(class_of_text(text).is_some(), "{text}");
        }
    }

    #[test]
    fn what_is_no_message_as_a_whole_is_none() {
        for text in [
            "",
            "*",
            "order 7: deadlock detected",
            "database is locked, says the clerk",
            "syntax error at or near \"deadlock detected\"",
            "Data truncated for column 'Lock wait timeout exceeded; try restarting transaction' at row 1",
        ] {
            assert_eq!(class_of_text(text), None, "{text}");
        }
    }
}
