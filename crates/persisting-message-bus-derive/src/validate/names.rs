//! The names of topics and message types.

use std::collections::{HashMap, HashSet};

use quote::{ToTokens, quote};
use syn::LitStr;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

use crate::ast::{Message, MessageEnum, Variant};
use crate::errors::Errors;

const MAX_LENGTH: usize = 255;

pub(super) fn topic_has_a_name(input: &MessageEnum<'_>, errors: &mut Errors) {
    match &input.attributes.name {
        Some(name) => is_allowed(&name.value(), name, "topic", errors),
        // An error in the attribute was reported already.
        None if errors.is_empty() => errors.at(
            &input.original.ident,
            "a topic needs a name: add `#[topic(name = \"...\")]`",
        ),
        None => {}
    }
}

pub(super) fn are_allowed(variant: &Variant<'_>, errors: &mut Errors) {
    if variant.attributes.name.is_none() {
        let ident = &variant.original.ident;
        is_allowed(&variant.name(), ident, "message", errors);
    }
    for name in variant
        .attributes
        .name
        .iter()
        .chain(&variant.attributes.aliases)
    {
        is_allowed(&name.value(), name, "message", errors);
    }
}

pub(super) fn retired_are_allowed(input: &MessageEnum<'_>, errors: &mut Errors) {
    for retired in &input.attributes.retired {
        is_allowed(&retired.value(), retired, "message", errors);
    }
}

fn is_allowed(name: &str, tokens: impl ToTokens, what: &str, errors: &mut Errors) {
    let length = name.chars().count();
    let problem = if name.is_empty() {
        "is empty: it needs at least 1 character".to_owned()
    } else if length > MAX_LENGTH {
        format!("has {length} characters: shorten it to {MAX_LENGTH}")
    } else if name.chars().any(char::is_control) {
        "has a control character: remove it".to_owned()
    } else if let Some(invisible) = name.chars().find(is_invisible) {
        let code = u32::from(invisible);
        format!("has the invisible character U+{code:04X}: remove it")
    } else if name.trim() != name {
        "starts or ends with white space: remove it".to_owned()
    } else {
        return;
    };
    errors.at(tokens, format!("the {what}'s name {problem}"));
}

/// Returns `true` for characters that format text and do not show, such as zero-width spaces.
fn is_invisible(character: &char) -> bool {
    matches!(
        character.general_category(),
        GeneralCategory::Format
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
    )
}

/// Checks that all names, aliases and retired names are different.
pub(super) fn are_unique(input: &MessageEnum<'_>, errors: &mut Errors) {
    let mut seen = HashMap::new();
    names_of_messages_are_unique(input, &mut seen, errors);
    retired_names_are_unique(&input.attributes.retired, &seen, errors);
}

/// Checks the names and aliases, and collects them with the variants that have them.
fn names_of_messages_are_unique(
    input: &MessageEnum<'_>,
    seen: &mut HashMap<String, String>,
    errors: &mut Errors,
) {
    for Message { variant, .. } in input.messages() {
        let ident = &variant.original.ident;
        let own = if let Some(name) = &variant.attributes.name {
            quote!(#name)
        } else {
            quote!(#ident)
        };
        let aliases = variant.attributes.aliases.iter();
        let names = std::iter::once((variant.name(), own))
            .chain(aliases.map(|alias| (alias.value(), quote!(#alias))));
        for (name, tokens) in names {
            if let Some(first) = seen.get(&name) {
                let problem = if *ident == first {
                    "is given twice: keep one".to_owned()
                } else {
                    format!("already belongs to `{first}`: choose another name")
                };
                errors.at(tokens, format!("the message type \"{name}\" {problem}"));
            } else {
                seen.insert(name, ident.to_string());
            }
        }
    }
}

/// Checks that no message has a retired name, and that each is given once. `seen` has the names and
/// aliases of the messages.
fn retired_names_are_unique(
    retired: &[LitStr],
    seen: &HashMap<String, String>,
    errors: &mut Errors,
) {
    let mut retired_before = HashSet::new();
    for literal in retired {
        let name = literal.value();
        if let Some(variant) = seen.get(&name) {
            errors.at(
                literal,
                format!(
                    "the message type \"{name}\" is retired, but `{variant}` has that name or alias: \
                     remove it here or there"
                ),
            );
        } else if !retired_before.insert(name) {
            errors.at(
                literal,
                format!(
                    "the message type \"{}\" is retired twice: keep one",
                    literal.value()
                ),
            );
        }
    }
}
