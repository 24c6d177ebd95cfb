//! The rules for topics and event sets. Rules that need types are left to the compiler.

mod keys;
mod names;
mod payloads;
mod placement;
mod shape;
mod topics;
mod unknown;
mod versions;

use crate::ast::MessageEnum;
use crate::errors::Errors;

pub(crate) fn topic(input: &MessageEnum<'_>, errors: &mut Errors) {
    placement::attributes_are_in_their_place(input, errors);
    shape::is_enum_of_messages(input, errors);
    payloads::are_allowed(input, errors);
    names::topic_has_a_name(input, errors);
    for variant in input.variants.iter().flatten() {
        if variant.is_unknown() {
            unknown::is_nothing_else(variant, errors);
        } else {
            names::are_allowed(variant, errors);
            versions::are_complete(variant, errors);
        }
    }
    names::retired_are_allowed(input, errors);
    names::are_unique(input, errors);
    keys::belong_to_a_keyed_topic(input, errors);
}

pub(crate) fn event_set(input: &MessageEnum<'_>, errors: &mut Errors) {
    placement::attributes_are_in_their_place(input, errors);
    shape::is_enum_of_messages(input, errors);
    payloads::are_allowed(input, errors);
    topics::every_message_has_one(input, errors);
    for variant in input.variants.iter().flatten() {
        if variant.is_unknown() {
            unknown::is_nothing_else(variant, errors);
            unknown::is_of_all_topics(variant, errors);
        } else if let Some(attribute) = &variant.attributes.first {
            errors.at(
                attribute,
                "names, aliases, versions and keys belong to the topic: move this to the variant there",
            );
        }
    }
}
