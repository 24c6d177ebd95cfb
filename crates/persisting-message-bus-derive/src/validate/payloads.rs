//! The types that the variants hold.

use std::collections::HashMap;

use quote::ToTokens;
use syn::Type;

use crate::ast::MessageEnum;
use crate::errors::Errors;
use crate::payload;

pub(super) fn are_allowed(input: &MessageEnum<'_>, errors: &mut Errors) {
    for message in input.messages() {
        if payload::is_refused_by_compiler(message.payload) || input.is_variant(&message) {
            errors.leave_to_compiler();
        } else {
            is_allowed(input, message.payload, errors);
        }
    }
    are_unique(input, errors);
}

fn is_allowed(input: &MessageEnum<'_>, payload: &Type, errors: &mut Errors) {
    if input.is_itself(payload) {
        return errors.at(
            payload,
            "a variant cannot hold the enum itself: give it a message struct",
        );
    }
    if payload::is_unsized(payload) {
        return errors.at(
            payload,
            "a message has a size that the compiler knows: hold a `Box` of this type, or an owned type such as `String`",
        );
    }
    match payload {
        Type::Reference(reference) => is_read_back(reference.and_token, "a reference", errors),
        Type::Ptr(pointer) => is_read_back(pointer, "a pointer", errors),
        Type::FnPtr(function) => is_read_back(function, "a function", errors),
        boxed if payload::is_boxed_trait_object(boxed) => {
            is_read_back(boxed, "a trait object", errors);
        }
        _ => {}
    }
}

fn is_read_back(tokens: impl ToTokens, what: &str, errors: &mut Errors) {
    errors.at(
        tokens,
        format!("a message is read back from the database: hold the struct instead of {what}"),
    );
}

/// Checks that each struct stands for one message type of its topic.
fn are_unique(input: &MessageEnum<'_>, errors: &mut Errors) {
    let mut seen = HashMap::new();
    for message in input.messages() {
        let topic = input.topic_of(message.variant);
        let topic = topic.to_token_stream().to_string();
        let written = message.payload.to_token_stream().to_string();
        let key = (topic, payload::without_root(message.payload));
        let Some((first, first_written)) = seen.get(&key) else {
            seen.insert(key, (message.ident, written));
            continue;
        };
        let problem = if written == *first_written {
            format!("`{first}` already holds this message: give each variant a struct of its own")
        } else {
            format!(
                "`{first}` already holds a message of this name: give each variant a struct of its \
                 own, and import a struct of the same name under another one"
            )
        };
        errors.at(message.payload, problem);
    }
}
