//! What the user wrote, borrowed, so that errors can point at it.

use syn::{
    Data, DeriveInput, Fields, GenericArgument, Ident, PathArguments, Type, Variant as SynVariant,
};

use crate::attributes::{EnumAttributes, MessageAttributes};
use crate::errors::Errors;

/// An enum of messages: a topic or an event set.
pub(crate) struct MessageEnum<'a> {
    pub(crate) original: &'a DeriveInput,
    pub(crate) attributes: EnumAttributes,
    /// `None` where the input is no enum.
    pub(crate) variants: Option<Vec<Variant<'a>>>,
}

pub(crate) struct Variant<'a> {
    pub(crate) original: &'a SynVariant,
    pub(crate) attributes: MessageAttributes,
    /// The message struct, out of its `Box` if it is in one; `None` where the variant does not hold
    /// exactly one unnamed field.
    pub(crate) payload: Option<&'a Type>,
}

impl<'a> MessageEnum<'a> {
    /// `helper` is the name of the attribute on the enum: `topic` or `event_set`.
    pub(crate) fn parse(original: &'a DeriveInput, helper: &str, errors: &mut Errors) -> Self {
        let attributes = EnumAttributes::parse(&original.attrs, helper, errors);
        let variants = match &original.data {
            Data::Enum(data) => Some(
                data.variants
                    .iter()
                    .map(|v| Variant::parse(v, errors))
                    .collect(),
            ),
            Data::Struct(_) | Data::Union(_) => None,
        };
        Self {
            original,
            attributes,
            variants,
        }
    }

    /// The variants that hold a message.
    pub(crate) fn messages(&self) -> impl Iterator<Item = Message<'_>> {
        self.variants.iter().flatten().filter_map(|variant| {
            variant.payload.map(|payload| Message {
                variant,
                ident: &variant.original.ident,
                payload,
            })
        })
    }
}

/// A variant that holds a message.
#[derive(Clone, Copy)]
pub(crate) struct Message<'a> {
    variant: &'a Variant<'a>,
    pub(crate) ident: &'a Ident,
    pub(crate) payload: &'a Type,
}

impl Message<'_> {
    /// The message type under which it is stored.
    pub(crate) fn name(&self) -> String {
        self.variant.name()
    }

    /// Message types under which it was stored before.
    pub(crate) fn aliases(&self) -> Vec<String> {
        let aliases = &self.variant.attributes.aliases;
        aliases.iter().map(syn::LitStr::value).collect()
    }
}

impl<'a> Variant<'a> {
    fn parse(original: &'a SynVariant, errors: &mut Errors) -> Self {
        let payload = match &original.fields {
            Fields::Unnamed(fields) if fields.unnamed.len() == 1 => {
                fields.unnamed.first().map(|field| out_of_box(&field.ty))
            }
            _ => None,
        };
        Self {
            original,
            attributes: MessageAttributes::parse(&original.attrs, errors),
            payload,
        }
    }

    /// The name in the attribute, or the variant's own.
    pub(crate) fn name(&self) -> String {
        match &self.attributes.name {
            Some(name) => name.value(),
            None => syn::ext::IdentExt::unraw(&self.original.ident).to_string(),
        }
    }
}

fn out_of_box(field: &Type) -> &Type {
    in_box(field).unwrap_or(field)
}

/// `M` of `Box<M>`, by whichever path `Box` is written.
fn in_box(field: &Type) -> Option<&Type> {
    let Type::Path(path) = field else {
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
