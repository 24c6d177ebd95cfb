//! The generated code. It uses only names of `::core` and of the library's `__private`.

mod event_set;
mod message;
mod stub;
mod topic;
mod unknown;
mod versions;

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::spanned::Spanned;
use syn::{DeriveInput, Path};

use crate::ast::MessageEnum;
use crate::errors::Errors;
use crate::validate;

pub(crate) fn topic(input: &DeriveInput) -> TokenStream {
    let mut errors = Errors::default();
    let topic = MessageEnum::parse(input, "topic", &mut errors);
    validate::topic(&topic, &mut errors);
    let impls = if errors.is_empty() {
        topic::impls(&topic)
    } else {
        stub::topic(&topic)
    };
    unnamed(&topic, &impls, &errors)
}

pub(crate) fn event_set(input: &DeriveInput) -> TokenStream {
    let mut errors = Errors::default();
    let event_set = MessageEnum::parse(input, "event_set", &mut errors);
    validate::event_set(&event_set, &mut errors);
    let impls = if errors.is_empty() {
        event_set::impls(&event_set)
    } else {
        stub::event_set(&event_set)
    };
    unnamed(&event_set, &impls, &errors)
}

/// Returns the impls, in a scope from which no names leak, and the errors.
fn unnamed(input: &MessageEnum<'_>, impls: &TokenStream, errors: &Errors) -> TokenStream {
    let library = library(input.attributes.crate_path.as_ref());
    let errors = errors.to_compile_errors();
    quote! {
        #errors
        #[allow(deprecated)]
        const _: () = {
            use #library::__private as __bus;
            #impls
        };
    }
}

/// Returns the span of these tokens for errors, with the name resolution of the derive itself.
/// Tokens that a macro wrote resolve names elsewhere.
fn at(tokens: &impl Spanned) -> Span {
    tokens.span().resolved_at(Span::call_site())
}

fn library(path: Option<&Path>) -> TokenStream {
    if let Some(path) = path {
        quote!(#path)
    } else {
        quote!(::persisting_message_bus)
    }
}
