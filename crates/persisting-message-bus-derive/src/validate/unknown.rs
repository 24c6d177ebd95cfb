//! The variant for unknown messages.

use crate::ast::Variant;
use crate::errors::Errors;

pub(super) fn is_nothing_else(variant: &Variant<'_>, errors: &mut Errors) {
    let attributes = &variant.attributes;
    let named = attributes.name.is_some() || !attributes.aliases.is_empty();
    let versioned = attributes.version.is_some() || !attributes.previous.is_empty();
    if named || versioned || attributes.key.is_some() {
        errors.at(
            &attributes.first,
            "the variant for unknown messages cannot have a name, a version or a key: keep only `unknown`",
        );
    }
}

pub(super) fn is_of_all_topics(variant: &Variant<'_>, errors: &mut Errors) {
    if let Some(topic) = &variant.attributes.topic {
        errors.at(
            topic,
            "the variant for unknown messages is for all topics: remove this attribute",
        );
    }
}
