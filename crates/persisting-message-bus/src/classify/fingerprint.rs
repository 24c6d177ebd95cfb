//! Recognises texts that are not written down here, because the server's licence restricts copying
//! them.

use std::iter::Peekable;
use std::str::Chars;

/// Returns the fingerprint of a message: the FNV-1a hash of its fixed text.
///
/// Spaces do not count, and each value is replaced by `*`. A value is a number, a quoted text, or a
/// word in capitals. The tables of database messages (`texts.txt`) contain these fingerprints.
#[must_use]
pub fn fingerprint_of(text: &str) -> u64 {
    let mut fixed = String::with_capacity(text.len());
    let mut characters = text.trim().chars().peekable();
    let mut before = ' ';
    while let Some(character) = characters.next() {
        let is_value = match character {
            '\'' | '"' | '`' if !is_elision(before) => {
                pass_over(&mut characters, |other| other != character);
                characters.next();
                true
            }
            '0'..='9' => {
                pass_over(&mut characters, |other| other.is_ascii_digit());
                true
            }
            // For example an SQL type.
            'A'..='Z' if characters.peek().is_some_and(|it| is_of_keyword(*it)) => {
                pass_over(&mut characters, is_of_keyword);
                true
            }
            '*' => true,
            ' ' => false,
            other => {
                fixed.push(other);
                false
            }
        };
        before = if is_value { '*' } else { character };
        // Adjacent values count as one.
        if is_value && !fixed.ends_with('*') {
            fixed.push('*');
        }
    }
    fixed.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Returns `true` if an apostrophe after this character is part of a word. This holds for Latin,
/// Greek and Cyrillic. Other scripts have no space before a quote.
fn is_elision(before: char) -> bool {
    before.is_alphanumeric() && before < '\u{530}'
}

fn is_of_keyword(character: char) -> bool {
    character.is_ascii_uppercase() || character == '_'
}

fn pass_over(characters: &mut Peekable<Chars<'_>>, holds: impl Fn(char) -> bool) {
    while characters.next_if(|character| holds(*character)).is_some() {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_do_not_matter_and_everything_else_does() {
        let known = fingerprint_of("Zapis '*' (errno: *)");
        for text in [
            "Zapis 'orders' (errno: 28 \"No space left on device\")",
            "Zapis '' (errno: 7)",
            "  Zapis 'a b'  (errno: 1)",
        ] {
            assert_eq!(fingerprint_of(text), known, "{text}");
        }
        let french =
            |what: &str| fingerprint_of(&format!("Erreur d'{what} du fichier 'a' (BIGINT)"));
        assert_ne!(french("ouverture"), french("écriture"));
        let a_type = |what: &str| fingerprint_of(&format!("{what} valor fuera de rango '7'"));
        assert_eq!(a_type("BIGINT UNSIGNED"), a_type("*"));
        for text in ["Zapis (errno: 7)", "Zapisi 'orders' (errno: 7)", ""] {
            assert_ne!(fingerprint_of(text), known, "{text}");
        }
    }
}
