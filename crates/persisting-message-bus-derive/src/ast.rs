//! The code of the user, borrowed, so that errors can point at it.

use syn::{
    Data, DeriveInput, Fields, GenericArgument, Ident, LitInt, Path, PathArguments, Type,
    Variant as SynVariant,
};

use crate::attributes::{EnumAttributes, Form, MessageAttributes, Previous};
use crate::errors::Errors;

/// An enum of messages: a topic or an event set.
pub(crate) struct MessageEnum<'a> {
    pub(crate) original: &'a DeriveInput,
    pub(crate) attributes: EnumAttributes,
    /// The variants; `None` if the input is not an enum.
    pub(crate) variants: Option<Vec<Variant<'a>>>,
}

pub(crate) struct Variant<'a> {
    pub(crate) original: &'a SynVariant,
    pub(crate) attributes: MessageAttributes,
    /// The type that the variant holds; `None` unless it holds exactly one unnamed field.
    pub(crate) field: Option<&'a Type>,
}

impl<'a> MessageEnum<'a> {
    /// Parses an enum. `helper` is the name of the attribute on the enum: `topic` or `event_set`.
    pub(crate) fn parse(original: &'a DeriveInput, helper: &str, errors: &mut Errors) -> Self {
        let attributes = EnumAttributes::parse(&original.attrs, helper, errors);
        let variants = match &original.data {
            Data::Enum(data) => {
                let variants = data.variants.iter();
                Some(
                    variants
                        .map(|variant| Variant::parse(variant, errors))
                        .collect(),
                )
            }
            Data::Struct(_) | Data::Union(_) => None,
        };
        Self {
            original,
            attributes,
            variants,
        }
    }

    /// Returns the variants that hold a message.
    pub(crate) fn messages(&self) -> impl Iterator<Item = Message<'_>> {
        self.variants.iter().flatten().filter_map(Variant::message)
    }

    /// Returns the variant for unknown messages, and the type that it holds.
    pub(crate) fn unknown(&self) -> Option<(&'a Ident, &'a Type)> {
        let mut variants = self.variants.iter().flatten();
        let unknown = variants.find(|variant| variant.is_unknown())?;
        Some((&unknown.original.ident, unknown.field?))
    }

    /// Returns `true` if a type is the enum itself.
    pub(crate) fn is_itself(&self, payload: &Type) -> bool {
        match payload {
            Type::Path(path) => ["Self", &self.original.ident.to_string()]
                .iter()
                .any(|name| path.path.is_ident(name)),
            _ => false,
        }
    }

    /// Returns the topic of an event set's message: the variant's own, or the enum's.
    pub(crate) fn topic_of<'s>(&'s self, variant: &'s Variant<'_>) -> Option<&'s Path> {
        variant
            .attributes
            .topic
            .as_ref()
            .or(self.attributes.topic.as_ref())
    }
}

impl<'a> Variant<'a> {
    fn parse(original: &'a SynVariant, errors: &mut Errors) -> Self {
        let field = match &original.fields {
            Fields::Unnamed(fields) if fields.unnamed.len() == 1 => fields.unnamed.first(),
            _ => None,
        };
        Self {
            original,
            attributes: MessageAttributes::parse(&original.attrs, errors),
            field: field.map(|field| &field.ty),
        }
    }

    pub(crate) fn is_unknown(&self) -> bool {
        self.attributes.unknown.is_some()
    }

    pub(crate) fn message(&self) -> Option<Message<'_>> {
        let field = self.field.filter(|_| !self.is_unknown())?;
        Some(Message {
            variant: self,
            ident: &self.original.ident,
            payload: in_box(field).map_or_else(|| bare(field), bare),
        })
    }

    /// Returns the name in the attribute, or the variant's own.
    pub(crate) fn name(&self) -> String {
        match &self.attributes.name {
            Some(name) => name.value(),
            None => syn::ext::IdentExt::unraw(&self.original.ident).to_string(),
        }
    }
}

/// A variant that holds a message.
#[derive(Clone, Copy)]
pub(crate) struct Message<'a> {
    pub(crate) variant: &'a Variant<'a>,
    pub(crate) ident: &'a Ident,
    /// The message struct, taken out of its `Box` if it is in one.
    pub(crate) payload: &'a Type,
}

impl<'a> Message<'a> {
    /// Returns the message type under which the message is stored.
    pub(crate) fn name(&self) -> String {
        self.variant.name()
    }

    pub(crate) fn is_boxed(&self) -> bool {
        self.variant.field.and_then(in_box).is_some()
    }

    /// Returns the message types under which the message was stored before.
    pub(crate) fn aliases(&self) -> Vec<String> {
        let aliases = &self.variant.attributes.aliases;
        aliases.iter().map(syn::LitStr::value).collect()
    }

    /// Returns the version of new messages.
    pub(crate) fn version(&self) -> u32 {
        self.variant.attributes.version.as_ref().map_or(1, value)
    }

    /// Returns the forms of the previous versions, in ascending order of the versions.
    pub(crate) fn previous(&self) -> Vec<(u32, &'a Form)> {
        let previous = self.variant.attributes.previous.iter();
        let mut previous: Vec<_> = previous.map(|p| (p.value(), &p.form)).collect();
        previous.sort_by_key(|(version, _)| *version);
        previous
    }
}

impl Previous {
    pub(crate) fn value(&self) -> u32 {
        value(&self.number)
    }
}

/// Returns the value of a number. Parsing has checked that it is one.
pub(crate) fn value(number: &LitInt) -> u32 {
    number.base10_parse().unwrap_or(0)
}

/// Returns `M` of `Box<M>`, regardless of the path by which `Box` is written.
fn in_box(field: &Type) -> Option<&Type> {
    let Type::Path(path) = bare(field) else {
        return None;
    };
    let last = path.path.segments.last()?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else {
        return None;
    };
    match arguments.args.first() {
        Some(GenericArgument::Type(message)) if last.ident == "Box" => Some(message),
        _ => None,
    }
}

/// Returns the type, with no parentheses and no invisible group of a macro around it.
fn bare(written: &Type) -> &Type {
    match written {
        Type::Group(group) => bare(&group.elem),
        Type::Paren(paren) => bare(&paren.elem),
        other => other,
    }
}
