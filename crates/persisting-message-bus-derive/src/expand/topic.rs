use proc_macro2::TokenStream;
use quote::quote;

use super::scope::Scope;
use super::{keys, message, unknown};
use crate::ast::{Message, MessageEnum};

pub(super) fn impls(topic: &MessageEnum<'_>, scope: &mut Scope) {
    let messages: Vec<_> = topic.messages().collect();
    scope.add(topic_impl(topic, &messages));
    scope.add(event_set_impl(topic, &messages));
    // An unknown message cannot be dispatched, so an enum that may hold one cannot be dispatched
    // either.
    if topic.unknown().is_none() {
        scope.add(message::of_topic_itself(topic, &messages));
    }
    if let Some(keyed) = keys::of_topic(topic, &messages) {
        scope.add(keyed);
    }
    for (index, message) in messages.iter().enumerate() {
        scope.add_for(message.variant, message::impls(topic, index, message));
    }
}

fn topic_impl(topic: &MessageEnum<'_>, messages: &[Message<'_>]) -> TokenStream {
    let ident = &topic.ident;
    let name = &topic.attributes.name;
    let descriptors = messages.iter().map(|message| descriptor(topic, message));
    let indices = 0..messages.len();
    let patterns = messages.iter().map(pattern);
    let idents = messages.iter().map(|message| message.ident);
    let payloads = messages.iter().map(|message| &message.alias);
    let unknown_arm = unknown::encode_arm(topic);
    let retired = &topic.attributes.retired;
    quote! {
        #[automatically_derived]
        impl __bus::Topic for #ident {
            type Registry = Self;
            const NAME: &'static ::core::primitive::str = #name;
            const MESSAGES: &'static [__bus::MessageDescriptor] = &[#(#descriptors),*];
            const RETIRED: &'static [&'static ::core::primitive::str] = &[#(#retired),*];

            fn encode(&self) -> __bus::EncodedPayload {
                match self {
                    #(Self::#idents(__payload) => {
                        <#payloads as __bus::MessageOf<Self>>::to_payload(__payload)
                    })*
                    #unknown_arm
                }
            }

            fn index_of(
                __message_type: &::core::primitive::str,
            ) -> ::core::option::Option<::core::primitive::usize> {
                match __message_type {
                    #(#patterns => ::core::option::Option::Some(#indices),)*
                    _ => ::core::option::Option::None,
                }
            }
        }
    }
}

fn event_set_impl(topic: &MessageEnum<'_>, messages: &[Message<'_>]) -> TokenStream {
    let ident = &topic.ident;
    let name = &topic.attributes.name;
    let expected = format!("topic `{ident}`");
    let patterns = messages.iter().map(pattern);
    let decoded = messages
        .iter()
        .map(|message| decoded(&quote!(Self), message));
    let decoded = unknown::catch(
        topic,
        &quote! {
            match __message.message_type {
                #(#patterns => #decoded,)*
                _ => ::core::result::Result::Err(
                    __bus::retired_or_unknown::<Self>(__message, #expected),
                ),
            }
        },
    );
    let idents = messages.iter().map(|message| message.ident);
    let names = messages.iter().map(Message::name);
    let unknown_arm = unknown::message_type_arm(topic);
    quote! {
        #[automatically_derived]
        impl __bus::EventSet for #ident {
            const SELECTIONS: &'static [__bus::TopicFilter] = &[__bus::TopicFilter {
                topic: #name,
                wanted: __bus::WantedMessages::All,
                retired: <Self as __bus::Topic>::RETIRED,
            }];

            fn decode(
                __message: &__bus::StoredMessage<'_>,
            ) -> ::core::result::Result<Self, __bus::Error> {
                #decoded
            }

            fn message_type(&self) -> &::core::primitive::str {
                match self {
                    #(Self::#idents(_) => #names,)*
                    #unknown_arm
                }
            }
        }
    }
}

fn descriptor(topic: &MessageEnum<'_>, message: &Message<'_>) -> TokenStream {
    let name = message.name();
    let aliases = message.aliases();
    let version = message.version();
    let key = keys::in_descriptor(topic, message);
    quote! {
        __bus::MessageDescriptor {
            name: #name,
            aliases: &[#(#aliases),*],
            version: #version,
            key: #key,
        }
    }
}

/// Returns the pattern that matches the message's name and aliases.
fn pattern(message: &Message<'_>) -> TokenStream {
    let name = message.name();
    let aliases = message.aliases();
    quote!(#name #(| #aliases)*)
}

/// Returns the code that decodes the message and puts it into its variant. `From` puts it into a
/// `Box` if necessary.
pub(super) fn decoded(topic: &TokenStream, message: &Message<'_>) -> TokenStream {
    let ident = message.ident;
    let payload = &message.alias;
    quote! {
        match <#payload as __bus::Registered<#topic>>::decode(__message) {
            ::core::result::Result::Ok(__payload) => {
                ::core::result::Result::Ok(Self::#ident(::core::convert::From::from(__payload)))
            }
            ::core::result::Result::Err(__error) => ::core::result::Result::Err(__error),
        }
    }
}
