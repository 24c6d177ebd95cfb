//! Names for the message structs in the generated code.
//!
//! The type that the user wrote appears once in the generated code: in the definition of its alias.
//! Where that type does not exist, the compiler reports the same error there as in the enum, and
//! shows the error once. It makes proposals for the item around the type, at the end of the item's
//! name, so the alias stands where the enum's name stands. Where the enum has the type in a `Box`,
//! the alias must have the type in an argument as well.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::spanned::Spanned;
use syn::{Ident, Type};

pub(crate) struct Alias(Ident);

impl Alias {
    /// Creates the alias of the message with this index in the enum.
    pub(super) fn new(index: usize, of: &Ident) -> Self {
        Self(format_ident!("__Message{index}", span = of.span()))
    }

    /// Returns the alias for errors at these tokens.
    pub(super) fn at(&self, payload: &Type) -> Ident {
        let mut alias = self.0.clone();
        let span = match payload {
            Type::Path(path) => path.path.segments.last().map(|last| last.ident.span()),
            _ => None,
        };
        let span = span.unwrap_or_else(|| payload.span());
        alias.set_span(span.resolved_at(self.0.span()));
        alias
    }

    pub(super) fn definition(&self, payload: &Type, is_boxed: bool) -> TokenStream {
        let alias = &self.0;
        if is_boxed {
            quote!(type #alias = __Same<#payload>;)
        } else {
            quote!(type #alias = #payload;)
        }
    }
}
