//! The ids of flows, which can come from outside.

use std::borrow::Cow;

use tracing::debug;
use uuid::Uuid;

use crate::error::kind::shortened;
use crate::message::name::{self, MAX_NAME_LENGTH};

/// The namespace of the digests. It is part of the stored form of an id and must not change.
const NAMESPACE: Uuid = Uuid::from_u128(0x91c5_3a5e_2f0b_4d0c_8a74_6b1f_d93e_07a2);

/// The number of characters that the digest and the character before it take.
const DIGEST_LENGTH: usize = 33;

/// Returns the form in which every backend keeps an id; `None` for an id without visible
/// characters, which starts a flow of its own.
///
/// An id that is a [name](name::name_problem) stays unchanged. Any other id becomes its beginning
/// without invisible characters, `~`, and a digest of the whole id, so that different ids stay
/// different. The form of a form is the form itself.
pub(crate) fn storable(id: &str) -> Option<Cow<'_, str>> {
    if name::name_problem(id).is_none() {
        return Some(Cow::Borrowed(id));
    }
    let is_blank = |character: char| character.is_whitespace() || name::is_invisible(character);
    if id.chars().all(is_blank) {
        return None;
    }
    let visible = id
        .trim_start()
        .chars()
        .filter(|it| !name::is_invisible(*it));
    let beginning: String = visible
        .skip_while(|it| it.is_whitespace())
        .take(MAX_NAME_LENGTH - DIGEST_LENGTH)
        .collect();
    let digest = Uuid::new_v5(&NAMESPACE, id.as_bytes());
    Some(Cow::Owned(format!("{beginning}~{}", digest.simple())))
}

/// Returns the stored form of an id that is set, and logs a change.
pub(crate) fn accept(id: String) -> Option<String> {
    let kept = match storable(&id) {
        Some(Cow::Borrowed(_)) => return Some(id),
        Some(Cow::Owned(kept)) => Some(kept),
        None => None,
    };
    let given = shortened(&id);
    match &kept {
        Some(kept) => debug!(
            given,
            kept, "correlation id changed to a form that can be kept"
        ),
        None => debug!(given, "empty correlation id left out"),
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(id: &str) -> String {
        storable(id).map_or_else(String::new, Cow::into_owned)
    }

    #[test]
    fn a_name_stays_unchanged() {
        let longest = "\u{1f980}".repeat(MAX_NAME_LENGTH);
        for id in ["request 4711", "~", &longest] {
            assert_eq!(kept(id), id);
        }
    }

    #[test]
    fn an_id_without_visible_characters_is_left_out() {
        for id in [
            "",
            " ",
            "\n",
            "\0",
            " \0\u{a0}",
            "\u{200b}",
            "\u{feff} \u{202e}",
        ] {
            assert_eq!(storable(id), None, "{id:?}");
        }
    }

    #[test]
    fn other_ids_become_different_names() {
        let long = "\u{1f980}".repeat(MAX_NAME_LENGTH + 1);
        let longer = "\u{1f980}".repeat(MAX_NAME_LENGTH + 2);
        let ids = [
            &*long,
            &longer,
            "a\0b",
            "ab\0",
            "ab ",
            " ab",
            "\0 ab",
            "ab\n",
            "a\u{200b}b",
            "\u{feff}ab",
        ];
        let mut forms: Vec<_> = ids.iter().map(|id| kept(id)).collect();
        for form in &forms {
            assert_eq!(name::name_problem(form), None, "{form:?}");
            assert_eq!(kept(form), *form);
        }
        assert_eq!(forms[0].chars().count(), MAX_NAME_LENGTH);
        assert!(forms[2].starts_with("ab~"));
        forms.sort_unstable();
        forms.dedup();
        assert_eq!(forms.len(), ids.len());
    }

    #[test]
    fn the_form_never_changes() {
        assert_eq!(kept("a\0b"), "ab~3d605572a68257359277a4b8a6dfef06");
    }
}
