//! The code of the user, borrowed, so that errors can point at it.

mod alias;
mod message;
mod variant;

use std::collections::HashSet;

use syn::ext::IdentExt;
use syn::{Data, DeriveInput, Ident, Path, Type, Variant as SynVariant};

use self::alias::Alias;
use self::variant::without_lint;
use crate::attributes::EnumAttributes;
use crate::errors::Errors;
use crate::kind::Kind;
use crate::payload;

pub(crate) use message::{Message, Unknown, value};
pub(crate) use variant::Variant;

/// An enum of messages: a topic or an event set.
pub(crate) struct MessageEnum<'a> {
    pub(crate) kind: Kind,
    pub(crate) original: &'a DeriveInput,
    pub(crate) ident: Ident,
    pub(crate) attributes: EnumAttributes,
    /// The variants; `None` if the input is not an enum.
    pub(crate) variants: Option<Vec<Variant<'a>>>,
}

impl<'a> MessageEnum<'a> {
    pub(crate) fn parse(original: &'a DeriveInput, kind: Kind, errors: &mut Errors) -> Self {
        let attributes = EnumAttributes::parse(&original.attrs, kind, errors);
        let variants = match &original.data {
            Data::Enum(data) => Some(variants(
                &original.ident,
                data.variants.iter(),
                kind,
                errors,
            )),
            Data::Struct(_) | Data::Union(_) => None,
        };
        Self {
            kind,
            original,
            ident: without_lint(&original.ident, &original.attrs),
            attributes,
            variants,
        }
    }

    /// Returns the variants that hold a message.
    pub(crate) fn messages(&self) -> impl Iterator<Item = Message<'_>> {
        self.variants.iter().flatten().filter_map(Variant::message)
    }

    /// Returns the variant for unknown messages, if it holds something.
    pub(crate) fn unknown(&self) -> Option<Unknown<'_>> {
        self.variants.iter().flatten().find_map(Variant::unknown)
    }

    /// Returns `true` if no impl can be for the type. The compiler refuses the enum then, or an
    /// error was reported.
    pub(crate) fn is_refused(&self, message: &Message<'_>) -> bool {
        payload::is_refused(message.payload) || self.is_variant(message)
    }

    /// Returns `true` if the type is a variant: of the enum itself, or of the message's topic.
    pub(crate) fn is_variant(&self, message: &Message<'_>) -> bool {
        let topic = self.topic_of(message.variant);
        payload::is_variant_of(message.payload, &self.original.ident)
            || topic.is_some_and(|topic| payload::is_variant_of(message.payload, topic))
    }

    /// Returns `true` if a type is the enum itself.
    pub(crate) fn is_itself(&self, payload: &Type) -> bool {
        payload::is_enum(payload, &self.original.ident)
    }

    /// Returns the topic of an event set's message: the variant's own, or the enum's.
    pub(crate) fn topic_of<'s>(&'s self, variant: &'s Variant<'_>) -> Option<&'s Path> {
        let of_variant = variant.attributes.topic.as_ref();
        of_variant.or(self.attributes.topic.as_ref())
    }
}

/// Returns the variants. The compiler refuses a variant whose name another variant before it has.
fn variants<'a>(
    of: &Ident,
    variants: impl Iterator<Item = &'a SynVariant>,
    kind: Kind,
    errors: &mut Errors,
) -> Vec<Variant<'a>> {
    let mut seen = HashSet::new();
    let mut parsed = Vec::new();
    for variant in variants {
        if seen.insert(variant.ident.unraw()) {
            let alias = Alias::new(parsed.len(), of);
            parsed.push(Variant::parse(variant, alias, kind, errors));
        } else {
            errors.leave_to_compiler();
        }
    }
    parsed
}
