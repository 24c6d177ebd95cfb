//! Enums with the attributes of both derives. A topic is an event set already.

use syn::Attribute;

use crate::errors::Errors;
use crate::kind::Kind;

/// Reports an enum with the attribute of the other derive. If the enum has both attributes, both
/// derives report the same error, which the compiler shows once.
///
/// Returns `true` if this derive must generate nothing, because the other one may be there and
/// generates everything.
pub(crate) fn check(attributes: &[Attribute], kind: Kind, errors: &mut Errors) -> bool {
    let topic = find(attributes, Kind::Topic);
    let event_set = find(attributes, Kind::EventSet);
    match (kind, topic, event_set) {
        (_, Some(_), Some(event_set)) => {
            errors.at(
                event_set,
                "a topic is an event set of all its messages already: remove `#[event_set(...)]`, and derive only `Topic`",
            );
        }
        (Kind::EventSet, Some(topic), None) => {
            errors.at(
                topic,
                "`derive(EventSet)` takes `#[event_set(topic = ...)]`. If the enum is a topic, derive only `Topic`: a topic is an event set of all its messages already",
            );
        }
        (Kind::Topic, None, Some(event_set)) => {
            errors.at(
                event_set,
                "`derive(Topic)` takes `#[topic(name = \"...\")]`. If the enum is an event set, derive only `EventSet`",
            );
            return true;
        }
        _ => return false,
    }
    kind == Kind::EventSet
}

fn find(attributes: &[Attribute], kind: Kind) -> Option<&Attribute> {
    attributes
        .iter()
        .find(|attribute| attribute.path().is_ident(kind.helper()))
}
