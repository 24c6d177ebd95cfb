use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;

use super::message;
use crate::ast::{Message, MessageEnum};

pub(super) fn impls(topic: &MessageEnum<'_>) -> TokenStream {
    let messages: Vec<_> = topic.messages().collect();
    let ident = &topic.original.ident;
    let impls = messages
        .iter()
        .enumerate()
        .map(|(index, message)| message::impls(ident, index, message));
    let topic_impl = topic_impl(topic, &messages);
    let event_set_impl = event_set_impl(topic, &messages);
    let message_of_impl = message::of_topic_itself(ident, &messages);
    quote! {
        #topic_impl
        #event_set_impl
        #message_of_impl
        #(#impls)*
    }
}

fn topic_impl(topic: &MessageEnum<'_>, messages: &[Message<'_>]) -> TokenStream {
    let ident = &topic.original.ident;
    let name = &topic.attributes.name;
    let descriptors = messages.iter().map(descriptor);
    let indices = 0..messages.len();
    let patterns = messages.iter().map(pattern);
    quote! {
        #[automatically_derived]
        impl __bus::Topic for #ident {
            type Registry = Self;
            const NAME: &'static ::core::primitive::str = #name;
            const MESSAGES: &'static [__bus::MessageDescriptor] = &[#(#descriptors),*];

            fn index_of(
                message_type: &::core::primitive::str,
            ) -> ::core::option::Option<::core::primitive::usize> {
                match message_type {
                    #(#patterns => ::core::option::Option::Some(#indices),)*
                    _ => ::core::option::Option::None,
                }
            }
        }
    }
}

fn event_set_impl(topic: &MessageEnum<'_>, messages: &[Message<'_>]) -> TokenStream {
    let ident = &topic.original.ident;
    let name = &topic.attributes.name;
    let expected = format!("topic `{ident}`");
    let patterns = messages.iter().map(pattern);
    let decoded = messages.iter().map(decoded);
    let idents = messages.iter().map(|message| message.ident);
    let names = messages.iter().map(Message::name);
    quote! {
        #[automatically_derived]
        impl __bus::EventSet for #ident {
            const SELECTIONS: &'static [__bus::Selection] = &[__bus::Selection {
                topic: #name,
                wanted: __bus::Wanted::All,
            }];

            fn decode(
                message: &__bus::StoredMessage<'_>,
            ) -> ::core::result::Result<Self, __bus::Error> {
                match message.message_type {
                    #(#patterns => #decoded,)*
                    _ => ::core::result::Result::Err(__bus::unknown_message(message, #expected)),
                }
            }

            fn message_type(&self) -> &::core::primitive::str {
                match self {
                    #(Self::#idents(_) => #names,)*
                }
            }
        }
    }
}

fn descriptor(message: &Message<'_>) -> TokenStream {
    let name = message.name();
    let aliases = message.aliases();
    quote! {
        __bus::MessageDescriptor { name: #name, aliases: &[#(#aliases),*], version: 1 }
    }
}

/// Matches the message's name and aliases.
fn pattern(message: &Message<'_>) -> TokenStream {
    let name = message.name();
    let aliases = message.aliases();
    quote!(#name #(| #aliases)*)
}

/// The payload, decoded and put in its variant. `From` puts it in a `Box` where it has to.
pub(super) fn decoded(message: &Message<'_>) -> TokenStream {
    let ident = message.ident;
    let payload = message.payload;
    let decode = quote_spanned!(payload.span()=> __bus::decode_payload::<#payload>);
    quote! {
        match #decode(message) {
            ::core::result::Result::Ok(payload) => {
                ::core::result::Result::Ok(Self::#ident(::core::convert::From::from(payload)))
            }
            ::core::result::Result::Err(error) => ::core::result::Result::Err(error),
        }
    }
}
