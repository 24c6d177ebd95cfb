//! The places of the attributes. The compiler accepts an attribute of a derive anywhere in the enum.

use syn::{Attribute, Data};

use crate::ast::MessageEnum;
use crate::errors::Errors;
use crate::kind::Kind;

const HELPERS: [&str; 3] = ["topic", "event_set", "message"];

/// Where an attribute stands.
#[derive(Clone, Copy)]
enum Place {
    Enum,
    Variant,
    Field,
}

/// Checks that no attribute of the derives stands in a place where it has no effect.
pub(super) fn attributes_are_in_their_place(input: &MessageEnum<'_>, errors: &mut Errors) {
    let kind = input.kind;
    check(&input.original.attrs, Place::Enum, kind, errors);
    let Data::Enum(data) = &input.original.data else {
        return;
    };
    for variant in &data.variants {
        check(&variant.attrs, Place::Variant, kind, errors);
        for field in &variant.fields {
            check(&field.attrs, Place::Field, kind, errors);
        }
    }
}

fn check(attributes: &[Attribute], place: Place, kind: Kind, errors: &mut Errors) {
    for attribute in attributes {
        let helper = HELPERS
            .into_iter()
            .find(|helper| attribute.path().is_ident(helper));
        if let Some(problem) = helper.and_then(|helper| problem(helper, place, kind)) {
            errors.at(attribute, problem);
        }
    }
}

/// Returns the reason why the attribute cannot stand there.
fn problem(helper: &str, place: Place, kind: Kind) -> Option<&'static str> {
    Some(match (helper, place, kind) {
        ("message", Place::Enum, _) => {
            "`#[message(...)]` belongs on a variant: move it to the variant of the message"
        }
        ("message", Place::Field, _) => {
            "`#[message(...)]` belongs on the variant: move it before the variant's name"
        }
        ("topic", Place::Variant | Place::Field, Kind::Topic) => {
            "`#[topic(...)]` belongs on the enum: write `#[message(...)]` before the variant's name"
        }
        ("topic", Place::Variant | Place::Field, Kind::EventSet) => {
            "`#[topic(...)]` belongs on a topic's enum: write `#[event_set(topic = ...)]` before the variant's name"
        }
        ("event_set", Place::Field, Kind::EventSet) => {
            "`#[event_set(...)]` belongs on the variant or on the enum: move it before the variant's name"
        }
        ("event_set", Place::Variant | Place::Field, Kind::Topic) => {
            "all messages of a topic are its own: remove `#[event_set(...)]`, which is for `derive(EventSet)`"
        }
        _ => return None,
    })
}
