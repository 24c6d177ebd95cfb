//! The code that reads a message in each of its versions.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};

use super::at;
use crate::ast::Message;
use crate::attributes::Form;

/// Returns the body of a function that decodes `message` into the current struct.
pub(super) fn decode(message: &Message<'_>) -> TokenStream {
    let payload = message.payload;
    let current = message.version();
    let decode = quote_spanned!(at(payload)=> __bus::decode_payload::<#payload>);
    let previous = message.previous();
    let upcasts = (0..previous.len()).map(|first| upcast(message, &previous[first..]));
    let numbers = previous.iter().map(|(number, _)| number);
    quote! {
        match __message.message_version {
            #current => #decode(__message),
            #(#numbers => { #upcasts })*
            _ => ::core::result::Result::Err(__bus::newer_version(__message, #current)),
        }
    }
}

/// Returns the code that decodes the first of these versions and converts it into the next ones, up
/// to the current struct.
fn upcast(message: &Message<'_>, versions: &[(u32, &Form)]) -> TokenStream {
    let mut steps = TokenStream::new();
    let nexts = versions.iter().skip(1).map(|(_, form)| *form);
    let current = Form::Struct(message.payload.clone());
    let mut is_first = true;
    for ((number, form), next) in versions.iter().zip(nexts.chain([&current])) {
        steps.extend(match (form, is_first) {
            (Form::Struct(of), true) => quote_spanned! {at(of)=>
                let __payload = __bus::decode_payload::<#of>(__message)?;
            },
            (Form::Json(_), true) => quote!(let __payload = __bus::payload_as_json(__message)?;),
            (_, false) => TokenStream::new(),
        });
        steps.extend(step(*number, form, next));
        is_first = false;
    }
    quote! {
        #steps
        ::core::result::Result::Ok(__payload)
    }
}

/// Returns the code that converts a `payload` of one version into that of the next.
fn step(number: u32, form: &Form, next: &Form) -> TokenStream {
    match (form, next) {
        (Form::Struct(of), Form::Struct(next)) => quote_spanned! {at(of)=>
            let __payload = __bus::upcast::<#of, #next>(__payload);
        },
        (Form::Json(function), Form::Struct(next)) => {
            let upcast = quote_spanned!(at(function)=> __bus::upcast_json(__message, #number, #function, __payload)?);
            let decode = quote_spanned!(at(next)=> __bus::decode_json::<#next>);
            quote! {
                let __payload = #upcast;
                let __payload = #decode(__message, __payload)?;
            }
        }
        // Validation has refused JSON after a struct.
        (Form::Json(function), Form::Json(_)) => quote_spanned! {at(function)=>
            let __payload = __bus::upcast_json(__message, #number, #function, __payload)?;
        },
        (Form::Struct(_), Form::Json(_)) => TokenStream::new(),
    }
}
