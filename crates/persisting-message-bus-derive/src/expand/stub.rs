//! Impls with no content that accompany an error, so that one mistake causes one message: code that
//! uses the topic compiles as if the topic were correct.

use std::collections::HashSet;

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{Ident, LitStr};

use super::message::{from, try_from};
use crate::ast::MessageEnum;

pub(super) fn topic(topic: &MessageEnum<'_>) -> TokenStream {
    let ident = &topic.original.ident;
    let (impl_generics, type_generics, where_clause) = topic.original.generics.split_for_impl();
    let event_set = event_set(topic);
    let messages = messages(topic);
    // As in the correct impls, two topics that both have errors must have different names.
    let name = topic
        .attributes
        .name
        .as_ref()
        .map_or_else(|| ident.to_string(), LitStr::value);
    let descriptors = topic.messages().map(|message| {
        let name = message.name();
        quote!(__bus::MessageDescriptor { name: #name, aliases: &[], version: 1 })
    });
    quote! {
        impl #impl_generics __bus::Topic for #ident #type_generics #where_clause {
            type Registry = Self;
            const NAME: &'static ::core::primitive::str = #name;
            const MESSAGES: &'static [__bus::MessageDescriptor] = &[#(#descriptors),*];
            const RETIRED: &'static [&'static ::core::primitive::str] = &[];
            fn encode(&self) -> __bus::EncodedPayload {
                ::core::result::Result::Ok(::core::default::Default::default())
            }
            fn index_of(
                _: &::core::primitive::str,
            ) -> ::core::option::Option<::core::primitive::usize> {
                ::core::option::Option::None
            }
        }
        #event_set
        #messages
    }
}

pub(super) fn event_set(event_set: &MessageEnum<'_>) -> TokenStream {
    let ident = &event_set.original.ident;
    let (impl_generics, type_generics, where_clause) = event_set.original.generics.split_for_impl();
    quote! {
        impl #impl_generics __bus::EventSet for #ident #type_generics #where_clause {
            const SELECTIONS: &'static [__bus::TopicFilter] = &[];
            fn decode(
                __message: &__bus::StoredMessage<'_>,
            ) -> ::core::result::Result<Self, __bus::Error> {
                ::core::result::Result::Err(__bus::unknown_message(__message, ""))
            }
            fn message_type(&self) -> &::core::primitive::str {
                ""
            }
        }
    }
}

/// Returns the impls that dispatches and event sets require of the messages. The messages of a
/// generic enum may be type parameters, which cannot implement anything.
fn messages(topic: &MessageEnum<'_>) -> TokenStream {
    if !topic.original.generics.params.is_empty() {
        return TokenStream::new();
    }
    let ident = &topic.original.ident;
    let own = message(ident, &ident.to_token_stream(), 0);
    let mut seen = HashSet::new();
    let impls = topic
        .messages()
        .enumerate()
        .filter(|(_, message)| !topic.is_itself(message.payload))
        .filter(|(_, message)| seen.insert(message.payload.to_token_stream().to_string()))
        .map(|(index, of_variant)| {
            let of_struct = message(ident, &of_variant.payload.to_token_stream(), index);
            let from = from(ident, &of_variant);
            let try_from = try_from(topic, &of_variant);
            quote!(#of_struct #from #try_from)
        });
    quote!(#own #(#impls)*)
}

fn message(topic: &Ident, message: &TokenStream, index: usize) -> TokenStream {
    quote! {
        impl __bus::Registered<#topic> for #message {
            const INDEX: ::core::primitive::usize = #index;
            fn decode(
                __message: &__bus::StoredMessage<'_>,
            ) -> ::core::result::Result<Self, __bus::Error> {
                ::core::result::Result::Err(__bus::unknown_message(__message, ""))
            }
        }
        impl __bus::MessageOf<#topic> for #message {
            fn descriptor(&self) -> &'static __bus::MessageDescriptor {
                &__bus::MessageDescriptor { name: "", aliases: &[], version: 1 }
            }
            fn to_payload(&self) -> __bus::EncodedPayload {
                ::core::result::Result::Ok(::core::default::Default::default())
            }
        }
    }
}
