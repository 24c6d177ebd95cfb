//! The effect that an SQL text may have on its transaction, as far as its first words tell.

/// The strongest effect that a statement of the text may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verb {
    /// The statement changes nothing, and leaves the transaction as it is unless it fails.
    Reads,
    /// The statement writes rows, and leaves the transaction as it is unless it fails.
    Writes,
    /// The statement writes rows and returns them.
    Returns,
    /// The statement may end the transaction on some database: DDL, a procedure, a setting.
    Unusual,
    /// The statement rolls the transaction back.
    RollsBack,
    /// The statement ends the transaction.
    Ends,
}

/// Statements that change nothing by themselves. A function that a SELECT calls may change
/// something, which the watch does not see.
const READS: [&str; 4] = ["select", "values", "savepoint", "release"];

/// Statements that leave a transaction as it is. No function or trigger that they call can end one.
const WRITES: [&str; 6] = ["insert", "update", "delete", "with", "replace", "merge"];

impl Verb {
    pub(super) fn of(sql: &str) -> Self {
        Self::of_plain(sql).unwrap_or_else(|| Self::of_any(sql))
    }

    /// Handles a text that is one plain statement, as most texts are: each statement of a handler comes
    /// here, so this takes some tens of nanoseconds.
    fn of_plain(sql: &str) -> Option<Self> {
        let text = sql.trim_ascii_start().as_bytes();
        let (word, rest) = text.split_first_chunk::<6>()?;
        let is_reading = word.eq_ignore_ascii_case(b"select");
        let is_plain = is_reading
            || word.eq_ignore_ascii_case(b"insert")
            || word.eq_ignore_ascii_case(b"update")
            || word.eq_ignore_ascii_case(b"delete");
        let is_whole = rest.first().is_some_and(u8::is_ascii_whitespace);
        if !is_plain || !is_whole || rest.contains(&b';') {
            None
        } else if is_reading {
            Some(Self::Reads)
        } else if has_returning(rest) {
            Some(Self::Returns)
        } else {
            Some(Self::Writes)
        }
    }

    fn of_any(sql: &str) -> Self {
        // The body of a function or trigger contains statements, and an END that does not end a
        // transaction.
        let mut has_body = false;
        let verbs = statements(sql).map(|statement| {
            let of_body = has_body && is_first_word(statement, "end");
            has_body |= is_first_word(statement, "create") && has_word(statement, "begin");
            match Self::of_statement(statement) {
                Self::Ends if of_body => Self::Unusual,
                verb => verb,
            }
        });
        let most = verbs.max().unwrap_or(Self::Unusual);
        // MySQL has backslash escapes in quotes, and comments with `#`, which other databases do
        // not have. In such a text, the ends of statements are not known.
        let is_odd = sql.contains(';') && sql.contains(['\\', '#']);
        if is_odd {
            most.max(Self::Unusual)
        } else {
            most
        }
    }

    fn of_statement(statement: &str) -> Self {
        let statement = statement.trim_start_matches(|it: char| it == '(' || it.is_whitespace());
        let mut words = statement.split(|it: char| !it.is_ascii_alphanumeric());
        let mut next = || words.find(|word| !word.is_empty()).unwrap_or_default();
        let (first, second, third) = (next(), next(), next());
        let is = |word: &str, other: &str| word.eq_ignore_ascii_case(other);
        if READS.iter().any(|reads| is(first, reads)) {
            Self::Reads
        } else if WRITES.iter().any(|writes| is(first, writes)) {
            if has_returning(statement.as_bytes()) {
                Self::Returns
            } else {
                Self::Writes
            }
        } else if is(first, "rollback") || is(first, "abort") {
            // TO SAVEPOINT leaves the transaction open.
            if is(second, "to") || is(third, "to") {
                Self::Reads
            } else {
                Self::RollsBack
            }
        } else if is(first, "commit")
            || is(first, "end")
            || is(first, "prepare") && is(second, "transaction")
        {
            Self::Ends
        } else {
            Self::Unusual
        }
    }
}

/// Returns `true` if a text may select another database. It may also be the body of a prepared
/// statement, or drop the database that is selected.
pub(super) fn may_select_database(sql: &str) -> bool {
    const WORDS: [&str; 5] = ["use", "execute", "database", "schema", "prepare"];
    Verb::of(sql) >= Verb::Unusual && WORDS.iter().any(|word| has_word(sql, word))
}

fn is_first_word(statement: &str, word: &str) -> bool {
    let mut words = statement.split(|it: char| !it.is_ascii_alphanumeric());
    words
        .next()
        .is_some_and(|first| first.eq_ignore_ascii_case(word))
}

/// Returns `true` if a statement contains the word RETURNING, perhaps in a quote or a comment, which does no
/// harm.
fn has_returning(statement: &[u8]) -> bool {
    const WORD: &[u8] = b"returning";
    let is_of_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let mut from = 0;
    // The letter G is rare in SQL.
    while let Some(found) = statement[from..]
        .iter()
        .position(|it| matches!(it, b'g' | b'G'))
    {
        let end = from + found + 1;
        if let Some(start) = end.checked_sub(WORD.len())
            && statement[start..end].eq_ignore_ascii_case(WORD)
            && !statement[..start].last().is_some_and(is_of_word)
            && !statement.get(end).is_some_and(is_of_word)
        {
            return true;
        }
        from = end;
    }
    false
}

/// Returns `true` if a word stands in a statement. The word may be in a quote or a comment, which
/// does no harm.
fn has_word(statement: &str, word: &str) -> bool {
    let words = statement.split(|it: char| !it.is_ascii_alphanumeric() && it != '_');
    words
        .into_iter()
        .any(|other| other.eq_ignore_ascii_case(word))
}

/// Returns the statements of a text, which is split at the semicolons outside of quotes and
/// comments.
fn statements(sql: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(sql);
    std::iter::from_fn(move || {
        loop {
            let (statement, after) = split_statement(rest?);
            rest = after;
            let statement = without_comments(statement);
            if !statement.is_empty() {
                return Some(statement);
            }
        }
    })
}

/// Returns the first statement, and the rest of the text after its semicolon.
fn split_statement(sql: &str) -> (&str, Option<&str>) {
    // Most texts are one statement with no semicolon.
    if !sql.bytes().any(|byte| byte == b';') {
        return (sql, None);
    }
    let bytes = sql.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        at += match bytes[at] {
            b';' => return (&sql[..at], Some(&sql[at + 1..])),
            _ => length_of_token(&bytes[at..]),
        };
    }
    (sql, None)
}

/// Returns the length of the quote or comment that begins here; 1 if none begins here. All
/// delimiters are ASCII, so texts are cut between characters.
fn length_of_token(bytes: &[u8]) -> usize {
    let up_to = |end: &[u8], from: usize| {
        let rest = bytes.get(from..).unwrap_or_default();
        let found = rest.windows(end.len()).position(|window| window == end);
        found.map_or(bytes.len(), |found| from + found + end.len())
    };
    match bytes {
        // A doubled quote inside counts as the end of one quote and the beginning of the next.
        [quote @ (b'\'' | b'"' | b'`'), ..] => up_to(&[*quote], 1),
        [b'-', b'-', ..] => up_to(b"\n", 2),
        // MySQL and MariaDB execute the content of `/*! */` and `/*M! */`, so these are not
        // comments.
        [b'/', b'*', b'!' | b'M', ..] => 1,
        [b'/', b'*', ..] => up_to(b"*/", 2),
        [b'$', rest @ ..] => match rest.iter().position(|byte| *byte == b'$') {
            Some(tag) if rest[..tag].iter().all(is_of_tag) => up_to(&bytes[..tag + 2], tag + 2),
            _ => 1,
        },
        _ => 1,
    }
}

fn is_of_tag(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || *byte == b'_' || !byte.is_ascii()
}

/// Returns the statement without its leading white space and comments.
fn without_comments(statement: &str) -> &str {
    let mut rest = statement.trim();
    while rest.starts_with("--") || (rest.starts_with("/*") && length_of_token(rest.as_bytes()) > 1)
    {
        rest = rest[length_of_token(rest.as_bytes())..].trim_start();
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_verb(verb: Verb, texts: &[&str]) {
        for text in texts {
            assert_eq!(Verb::of(text), verb, "{text}");
        }
    }

    #[test]
    fn texts_that_may_select_another_database_are_noticed() {
        for text in [
            "USE other",
            "use `other`",
            "SET @a = 1; USE other",
            "/*M!100100 USE other */",
            "EXECUTE IMMEDIATE 'USE other'",
            "PREPARE change_it FROM 'USE other'",
            "DROP DATABASE bus",
            "-- a comment\nUSE other",
        ] {
            assert!(may_select_database(text), "{text}");
        }
        for text in [
            "SELECT 'use it'",
            "INSERT INTO t VALUES ('use', 'database')",
            "BEGIN",
            "SAVEPOINT used",
            "UPDATE t SET a = 'use'",
        ] {
            assert!(!may_select_database(text), "{text}");
        }
    }

    #[test]
    fn what_reads_changes_nothing() {
        assert_verb(
            Verb::Reads,
            &[
                "SELECT 1",
                "select 1;",
                "(SELECT 1) UNION (SELECT 2)",
                "-- a note; commit\nSELECT 1",
                "SELECT $$; COMMIT; $$",
                "SELECT $x$ $$; COMMIT; $x$ AS \"a;b\"",
                "SELECT $do_it$; COMMIT; $do_it$",
                "SAVEPOINT diesel_savepoint_1",
                "RELEASE SAVEPOINT diesel_savepoint_1",
                "ROLLBACK TO SAVEPOINT diesel_savepoint_1",
                "ROLLBACK WORK TO diesel_savepoint_1",
            ],
        );
    }

    #[test]
    fn what_writes_rows_leaves_a_transaction_as_it_is() {
        assert_verb(
            Verb::Writes,
            &[
                "\n    WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x",
                "INSERT INTO t VALUES (';COMMIT;')",
                "INSERT INTO t VALUES ('it''s; commit')",
                "INSERT INTO t VALUES ('it\\'s # 1')",
                "INSERT INTO t VALUES (1); UPDATE t SET n = 2;",
                "/* a note; commit */ DELETE FROM t",
                "REPLACE INTO t VALUES (1)",
                "INSERT INTO t (returning_at) VALUES (1)",
            ],
        );
        assert_verb(
            Verb::Returns,
            &[
                "INSERT INTO t VALUES (1) RETURNING n",
                "INSERT OR ROLLBACK INTO t VALUES (1) returning *",
                "DELETE FROM t RETURNING(n)",
            ],
        );
    }

    #[test]
    fn the_end_of_a_body_is_not_that_of_a_transaction() {
        assert_verb(
            Verb::Unusual,
            &[
                "CREATE TRIGGER t AFTER INSERT ON u BEGIN UPDATE v SET n = 1; END",
                "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; END",
                "DO $do_it$ BEGIN COMMIT; END; $do_it$",
            ],
        );
        assert_verb(
            Verb::Ends,
            &[
                "CREATE TABLE t (n int); COMMIT",
                "CREATE TABLE t (n int); END",
            ],
        );
    }

    #[test]
    fn where_statements_end_is_not_known_with_backslashes_and_hashes() {
        assert_verb(
            Verb::Unusual,
            &[
                "INSERT INTO log VALUES ('it\\'s'); COMMIT",
                "SELECT 1 # it's\n; COMMIT",
            ],
        );
    }

    #[test]
    fn what_some_database_commits_by_itself_is_unusual() {
        assert_verb(
            Verb::Unusual,
            &[
                "TRUNCATE t",
                "CREATE TABLE t (n int)",
                "INSERT INTO t VALUES (1); TRUNCATE t",
                "CALL p()",
                "SET autocommit = 1",
                "BEGIN",
                "START TRANSACTION",
                "/*! TRUNCATE t */",
                "/*M!100000 TRUNCATE t */",
                "SELECT 1; /*! TRUNCATE t */",
                "LOCK TABLES t WRITE",
                "PREPARE p AS SELECT 1",
                "",
                ";",
                "'",
                "SELECT $a; TRUNCATE t",
            ],
        );
    }

    #[test]
    fn what_ends_a_transaction_is_told_from_what_rolls_back_a_part_of_it() {
        assert_verb(Verb::RollsBack, &["ROLLBACK", " rollback work;", "ABORT"]);
        assert_verb(
            Verb::Ends,
            &[
                "COMMIT",
                "commit; BEGIN",
                "COMMIT AND CHAIN",
                "END",
                "PREPARE TRANSACTION 'x'",
                "SELECT 1; -- done\n COMMIT",
                "ROLLBACK; SELECT 1; COMMIT",
            ],
        );
    }

    #[test]
    fn no_text_is_too_strange() {
        let seed = fastrand::u64(..);
        eprintln!("SEED={seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        let pieces = [
            "'", "\"", "`", "$", "$$", "/*", "*/", "--", "\n", ";", "ä", "commit ", "\\",
        ];
        for _ in 0..10_000 {
            let text: String = (0..random.usize(..12))
                .map(|_| pieces[random.usize(..pieces.len())])
                .collect();
            let _verb = Verb::of(&text);
        }
    }
}
