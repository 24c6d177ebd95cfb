//! The keys of a topic's messages. The compiler checks the fields and their types.

use crate::ast::MessageEnum;
use crate::errors::Errors;

pub(super) fn belong_to_a_keyed_topic(input: &MessageEnum<'_>, errors: &mut Errors) {
    // An error in the attribute was reported already.
    if input.attributes.key.is_some() || !errors.is_empty() {
        return;
    }
    for variant in input.variants.iter().flatten() {
        if let Some(key) = &variant.attributes.key {
            errors.at(
                key,
                "the topic has no key: write `key = ...` in `#[topic(...)]` too, with a field that the \
                 other messages have",
            );
        }
    }
}
