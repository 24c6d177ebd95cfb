//! Impls with no content that accompany an error, so that one mistake causes one message: code that
//! uses the topic compiles as if the topic were correct.

use std::collections::HashSet;

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Ident, LitStr};

use crate::ast::MessageEnum;
use crate::payload;

pub(super) fn topic(topic: &MessageEnum<'_>) -> TokenStream {
    let ident = &topic.ident;
    let (impl_generics, type_generics, where_clause) = topic.original.generics.split_for_impl();
    let stub = stub();
    let event_set = as_event_set(topic);
    // A key that is itself the mistake is no second one. Without its attribute, the enum may be an
    // event set, whose stub has a key.
    let attributes = &topic.original.attrs;
    let is_topic = attributes.iter().any(|it| it.path().is_ident("topic"));
    let keyed = is_topic.then(|| keyed(topic));
    let messages = messages(topic);
    // As in the correct impls, two topics that both have errors must have different names.
    let name = topic
        .attributes
        .name
        .as_ref()
        .map_or_else(|| ident.to_string(), LitStr::value);
    let descriptors = topic.messages().map(|message| {
        let name = message.name();
        let key = quote!(::core::option::Option::None);
        quote!(__bus::MessageDescriptor { name: #name, aliases: &[], version: 1, key: #key })
    });
    quote! {
        impl #impl_generics __bus::Topic for #ident #type_generics #where_clause {
            type Registry = Self;
            const NAME: &'static ::core::primitive::str = #name;
            const MESSAGES: &'static [__bus::MessageDescriptor] = &[#(#descriptors),*];
            const RETIRED: &'static [&'static ::core::primitive::str] = &[];
            fn encode(&self) -> __bus::EncodedPayload {
                #stub
            }
            fn index_of(
                _: &::core::primitive::str,
            ) -> ::core::option::Option<::core::primitive::usize> {
                #stub
            }
        }
        #event_set
        #keyed
        #messages
    }
}

pub(super) fn event_set(event_set: &MessageEnum<'_>) -> TokenStream {
    let keyed = keyed(event_set);
    let event_set = as_event_set(event_set);
    quote!(#event_set #keyed)
}

fn keyed(of: &MessageEnum<'_>) -> TokenStream {
    let ident = &of.ident;
    let (impl_generics, type_generics, where_clause) = of.original.generics.split_for_impl();
    quote! {
        impl #impl_generics __bus::Keyed for #ident #type_generics #where_clause {
            type Key = ::core::primitive::str;
        }
    }
}

fn as_event_set(event_set: &MessageEnum<'_>) -> TokenStream {
    let stub = stub();
    let ident = &event_set.ident;
    let (impl_generics, type_generics, where_clause) = event_set.original.generics.split_for_impl();
    quote! {
        impl #impl_generics __bus::EventSet for #ident #type_generics #where_clause {
            const SELECTIONS: &'static [__bus::TopicFilter] = &[];
            fn decode(
                _: &__bus::StoredMessage<'_>,
            ) -> ::core::result::Result<Self, __bus::Error> {
                #stub
            }
            fn message_type(&self) -> &::core::primitive::str {
                #stub
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
    let ident = &topic.ident;
    let own = message(ident, ident, 0);
    let mut seen = HashSet::new();
    let impls = topic
        .messages()
        .enumerate()
        .filter(|(_, message)| !topic.is_itself(message.payload))
        .filter(|(_, message)| !topic.is_refused(message))
        .filter(|(_, message)| seen.insert(payload::without_root(message.payload)))
        .map(|(index, of_variant)| {
            let of_struct = message(ident, &of_variant.alias, index);
            let conversions = conversions(ident, &of_variant.alias);
            quote!(#of_struct #conversions)
        });
    quote!(#own #(#impls)*)
}

/// Returns the conversions without the variants, which may be broken.
fn conversions(topic: &Ident, payload: &Ident) -> TokenStream {
    let stub = stub();
    quote! {
        impl ::core::convert::From<#payload> for #topic {
            fn from(_: #payload) -> Self {
                #stub
            }
        }
        impl ::core::convert::TryFrom<#topic> for #payload {
            type Error = #topic;
            fn try_from(_: #topic) -> ::core::result::Result<Self, #topic> {
                #stub
            }
        }
    }
}

/// Returns the body of each function, with which no program can be built.
fn stub() -> TokenStream {
    quote!(__bus::stub())
}

fn message(topic: &Ident, message: &Ident, index: usize) -> TokenStream {
    let stub = stub();
    quote! {
        impl __bus::Registered<#topic> for #message {
            const INDEX: ::core::primitive::usize = #index;
            fn decode(
                _: &__bus::StoredMessage<'_>,
            ) -> ::core::result::Result<Self, __bus::Error> {
                #stub
            }
        }
        impl __bus::MessageOf<#topic> for #message {
            fn descriptor(&self) -> &'static __bus::MessageDescriptor {
                #stub
            }
            fn to_payload(&self) -> __bus::EncodedPayload {
                #stub
            }
        }
    }
}
