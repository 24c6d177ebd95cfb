//! The code that reads a message in each of its versions.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::{Ident, Type};

use super::at;
use crate::ast::Message;
use crate::attributes::Form;

/// Returns the body of a function that decodes `message` into the current struct.
pub(super) fn decode(message: &Message<'_>) -> TokenStream {
    let payload = &message.alias;
    let current = message.version();
    let json = json(payload);
    let previous = message.previous();
    let upcasts = (0..previous.len()).map(|first| upcast(message, &previous[first..]));
    let numbers = previous.iter().map(|(number, _)| number);
    quote! {
        match __message.message_version {
            #current => (#json.decode)(__message),
            #(#numbers => { #upcasts })*
            _ => ::core::result::Result::Err(__bus::newer_version(__message, #current)),
        }
    }
}

/// Returns the value that reads and writes the struct. The code is the same everywhere, so that the
/// compiler shows the error only once if a struct has not both of serde's traits.
pub(super) fn json(payload: &Ident) -> TokenStream {
    quote_spanned!(at(payload)=> __bus::json::<#payload>())
}

/// Returns the code that decodes the first of these versions and converts it into the next ones, up
/// to the current struct.
fn upcast(message: &Message<'_>, versions: &[(u32, &Form)]) -> TokenStream {
    let first = versions.first().map(|(_, form)| match form {
        Form::Struct(of) => quote_spanned! {at(of)=>
            let __payload = __bus::decode_payload::<#of>(__message)?;
        },
        Form::Json(_) => quote!(let __payload = __bus::payload_as_json(__message)?;),
    });
    let nexts = versions.iter().skip(1).map(|(_, form)| Some(*form));
    let steps = versions
        .iter()
        .zip(nexts.chain([None]))
        .map(|((number, form), next)| step(*number, form, next, &message.alias));
    quote! {
        #first
        #(#steps)*
        ::core::result::Result::Ok(__payload)
    }
}

/// Returns the code that converts a payload of one version into that of the next, which is the
/// current struct if there is no further version.
fn step(number: u32, form: &Form, next: Option<&Form>, current: &Ident) -> TokenStream {
    match (form, next) {
        (Form::Struct(of), None) => from(of, current),
        (Form::Struct(of), Some(Form::Struct(next))) => from(of, next),
        // Validation has refused JSON after a struct.
        (Form::Struct(_), Some(Form::Json(_))) => TokenStream::new(),
        (Form::Json(function), next) => {
            let upcast = quote_spanned! {at(function)=>
                let __payload = __bus::upcast_json(__message, #number, #function, __payload)?;
            };
            let decode = match next {
                None => {
                    let json = json(current);
                    quote!(let __payload = (#json.decode_value)(__message, __payload)?;)
                }
                Some(Form::Struct(next)) => {
                    let decode = quote_spanned!(at(next)=> __bus::decode_json::<#next>);
                    quote!(let __payload = #decode(__message, __payload)?;)
                }
                Some(Form::Json(_)) => TokenStream::new(),
            };
            quote!(#upcast #decode)
        }
    }
}

fn from(of: &Type, next: &impl ToTokens) -> TokenStream {
    quote_spanned! {at(of)=>
        let __payload = __bus::upcast::<#of, #next>(__payload);
    }
}
