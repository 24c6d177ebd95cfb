use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::{Attribute, Fields, Ident, Type, Variant as SynVariant};

use super::alias::Alias;
use super::message::{Message, Unknown};
use crate::attributes::MessageAttributes;
use crate::errors::Errors;
use crate::kind::Kind;
use crate::payload;

pub(crate) struct Variant<'a> {
    pub(crate) original: &'a SynVariant,
    pub(crate) ident: Ident,
    pub(crate) attributes: MessageAttributes,
    /// The type that the variant holds; `None` unless it holds exactly one unnamed field.
    pub(crate) field: Option<&'a Type>,
    pub(super) alias: Alias,
}

impl<'a> Variant<'a> {
    pub(super) fn parse(
        original: &'a SynVariant,
        alias: Alias,
        kind: Kind,
        errors: &mut Errors,
    ) -> Self {
        let field = match &original.fields {
            Fields::Unnamed(fields) if fields.unnamed.len() == 1 => fields.unnamed.first(),
            _ => None,
        };
        Self {
            original,
            ident: without_lint(&original.ident, &original.attrs),
            attributes: MessageAttributes::parse(&original.attrs, kind, errors),
            field: field.map(|field| &field.ty),
            alias,
        }
    }

    pub(crate) fn is_unknown(&self) -> bool {
        self.attributes.unknown.is_some()
    }

    pub(crate) fn message(&self) -> Option<Message<'_>> {
        let field = self.field.filter(|_| !self.is_unknown())?;
        Some(Message {
            variant: self,
            ident: &self.ident,
            payload: payload::message(field),
            alias: self.alias.at(payload::message(field)),
        })
    }

    pub(super) fn unknown(&self) -> Option<Unknown<'_>> {
        let field = self.field.filter(|_| self.is_unknown())?;
        Some(Unknown {
            ident: &self.ident,
            alias: self.alias.at(field),
            definition: self.alias.definition(field, false),
        })
    }

    /// Returns the name in the attribute, or the variant's own.
    pub(crate) fn name(&self) -> String {
        match &self.attributes.name {
            Some(name) => name.value(),
            None => self.ident.unraw().to_string(),
        }
    }
}

/// Returns the name for generated code. The compiler does not warn of the use of a deprecated enum
/// or variant if a derive wrote the name.
pub(super) fn without_lint(ident: &Ident, attributes: &[Attribute]) -> Ident {
    let mut ident = ident.clone();
    if attributes
        .iter()
        .any(|attribute| attribute.path().is_ident("deprecated"))
    {
        ident.set_span(ident.span().resolved_at(Span::call_site()));
    }
    ident
}
