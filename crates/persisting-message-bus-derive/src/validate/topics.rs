//! The topics of an event set.

use crate::ast::MessageEnum;
use crate::errors::Errors;

pub(super) fn every_message_has_one(input: &MessageEnum<'_>, errors: &mut Errors) {
    let without: Vec<_> = input
        .messages()
        .filter(|message| input.topic_of(message.variant).is_none())
        .collect();
    // An error in the attribute was reported already.
    if without.is_empty() || !errors.is_empty() {
        return;
    }
    if without.len() == input.messages().count() {
        return errors.at(
            &input.original.ident,
            "an event set needs its topic: add `#[event_set(topic = ...)]` with the topic's enum",
        );
    }
    for message in without {
        errors.at(
            message.ident,
            "the topic of this message is missing: add `#[event_set(topic = ...)]` to the variant or to the enum",
        );
    }
}
