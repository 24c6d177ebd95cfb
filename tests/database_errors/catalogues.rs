//! The library's tables of server messages, compared with the installed servers.

use std::collections::HashSet;
use std::fs;

use persisting_message_bus::Error;
use persisting_message_bus_tests::catalogues::{
    Form, Message, Table, example_of, of_mariadb, of_postgres, table_of, with_translations,
};

use super::said;

fn table(database: &str) -> String {
    fs::read_to_string(table_of(database)).unwrap()
}

/// Returns whether the error is retryable, disconnected, and too large.
fn predicates(text: &str) -> [bool; 3] {
    let error = Error::from(said(text));
    [
        error.is_retryable(),
        error.is_disconnected(),
        error.is_too_large(),
    ]
}

fn has_all_translations(database: &str, catalogue: &[Message], form: Form) {
    let table = table(database);
    let renewed = with_translations(&table, catalogue, form);
    let known: HashSet<_> = table.lines().collect();
    let missing: Vec<_> = renewed
        .lines()
        .filter(|line| !known.contains(line))
        .collect();
    assert!(
        missing.is_empty(),
        "the server has messages that the table lacks; run `cargo run -p persisting-message-bus-tests --bin \
         server-texts`: {missing:#?}"
    );
}

#[test]
fn texts_of_postgresql_are_known_in_all_its_languages() {
    has_all_translations("postgres", &of_postgres(), Form::Text);
}

#[test]
fn texts_of_mariadb_are_known_in_all_its_languages() {
    has_all_translations("mysql", &of_mariadb(), Form::Fingerprint);
}

#[test]
fn a_message_means_the_same_in_all_languages() {
    for database in ["sqlite", "postgres", "mysql"] {
        for (class, patterns) in Table::read(&table(database)).rows {
            for pattern in patterns.iter().filter(|pattern| !pattern.starts_with('#')) {
                let text = example_of(pattern);
                assert_eq!(predicates(&text), expected_of(&class), "{text}");
            }
        }
    }
}

fn expected_of(class: &str) -> [bool; 3] {
    match class {
        "transient" => [true, false, false],
        "disconnected" | "unprepared" => [true, true, false],
        "too large" => [false, false, true],
        "aborted" | "refused" | "undefined" => [false; 3],
        _ => panic!("{class}"),
    }
}

/// The table of MariaDB stores its translations as fingerprints.
#[test]
fn a_message_of_mariadb_means_the_same_in_all_languages() {
    let rows = Table::read(&table("mysql")).rows;
    let mut compared = 0;
    for message in of_mariadb() {
        for (class, patterns) in &rows {
            let (english, value) = (&patterns[0], patterns[0].contains("*read-only*"));
            if english.replace("*read-only*", "*") != message.english {
                continue;
            }
            for (_, translation) in &message.translations {
                let text = translation.replace('*', if value { "--read-only" } else { "7" });
                assert_eq!(predicates(&text), expected_of(class), "{text}");
                compared += 1;
            }
        }
    }
    assert!(compared > 500, "{compared}");
}

/// Asserts that every other message of a server belongs to no class.
fn assert_other_texts_are_not_classified(database: &str, catalogue: &[Message], form: Form) {
    let rows = Table::read(&table(database)).rows.into_iter();
    let known: HashSet<_> = rows
        .flat_map(|(_, patterns)| patterns)
        .map(|pattern| pattern.replace("*read-only*", "*"))
        .collect();
    let mut compared = 0;
    for message in catalogue {
        // The Chinese translation in PostgreSQL 15 says that the file could not be written.
        if message.english.starts_with("incorrect size of file") {
            continue;
        }
        let translations = message.translations.iter().map(|(_, text)| text);
        let texts = translations.chain([&message.english]);
        let is_known = |pattern: &String| {
            let option = pattern.replace('*', "--read-only");
            [pattern, &form.of(pattern), &form.of(&option)]
                .iter()
                .any(|form| known.contains(*form))
        };
        for pattern in texts.filter(|pattern| !is_known(pattern)) {
            let text = example_of(pattern);
            assert_eq!(predicates(&text), [false; 3], "{text}");
            compared += 1;
        }
    }
    assert!(compared > 1_000, "{compared}");
}

#[test]
fn other_texts_of_postgresql_are_not_classified() {
    assert_other_texts_are_not_classified("postgres", &of_postgres(), Form::Text);
}

#[test]
fn other_texts_of_mariadb_are_not_classified() {
    assert_other_texts_are_not_classified("mysql", &of_mariadb(), Form::Fingerprint);
}
