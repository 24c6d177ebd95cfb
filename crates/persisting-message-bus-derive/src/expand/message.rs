use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::Ident;

use super::at;
use super::keys;
use super::versions;
use crate::ast::{Message, MessageEnum};

/// Returns the impls that make a struct a message of the topic.
pub(super) fn impls(topic: &MessageEnum<'_>, index: usize, message: &Message<'_>) -> TokenStream {
    let ident = &topic.ident;
    let registered = registered(ident, index, message);
    let message_of = message_of(topic, index, message);
    let from = from(ident, message);
    let try_from = try_from(topic, message);
    quote! {
        #registered
        #message_of
        #from
        #try_from
    }
}

fn registered(topic: &Ident, index: usize, message: &Message<'_>) -> TokenStream {
    let payload = &message.alias;
    let decode = versions::decode(message);
    quote_spanned! {at(payload)=>
        #[automatically_derived]
        impl __bus::Registered<#topic> for #payload {
            const INDEX: ::core::primitive::usize = #index;

            fn decode(
                __message: &__bus::StoredMessage<'_>,
            ) -> ::core::result::Result<Self, __bus::Error> {
                #decode
            }
        }
    }
}

fn message_of(topic: &MessageEnum<'_>, index: usize, message: &Message<'_>) -> TokenStream {
    let payload = &message.alias;
    let json = versions::json(payload);
    let key = keys::of_message(topic);
    let topic = &topic.ident;
    quote_spanned! {at(payload)=>
        #[automatically_derived]
        impl __bus::MessageOf<#topic> for #payload {
            fn descriptor(&self) -> &'static __bus::MessageDescriptor {
                &<#topic as __bus::Topic>::MESSAGES[#index]
            }

            fn to_payload(&self) -> __bus::EncodedPayload {
                (#json.encode)(self)
            }

            #key
        }
    }
}

fn from(topic: &Ident, message: &Message<'_>) -> TokenStream {
    let ident = message.ident;
    let payload = &message.alias;
    quote! {
        #[automatically_derived]
        impl ::core::convert::From<#payload> for #topic {
            fn from(__payload: #payload) -> Self {
                Self::#ident(::core::convert::From::from(__payload))
            }
        }
    }
}

/// Returns the impl of `TryFrom`, which yields the message if the enum holds it, and otherwise the
/// enum.
fn try_from(topic: &MessageEnum<'_>, message: &Message<'_>) -> TokenStream {
    let ident = &topic.ident;
    let variant = message.ident;
    let payload = &message.alias;
    let unboxed = if message.is_boxed() {
        quote!(*__payload)
    } else {
        quote!(__payload)
    };
    let is_only_one = topic
        .variants
        .as_ref()
        .is_some_and(|variants| variants.len() == 1);
    let others = (!is_only_one).then(|| quote!(__other => ::core::result::Result::Err(__other),));
    quote! {
        #[automatically_derived]
        impl ::core::convert::TryFrom<#ident> for #payload {
            type Error = #ident;

            fn try_from(__message: #ident) -> ::core::result::Result<Self, #ident> {
                match __message {
                    #ident::#variant(__payload) => ::core::result::Result::Ok(#unboxed),
                    #others
                }
            }
        }
    }
}

/// Returns the impl that makes the topic's enum a message of the topic, too: the message in its
/// variant.
pub(super) fn of_topic_itself(topic: &MessageEnum<'_>, messages: &[Message<'_>]) -> TokenStream {
    let key = keys::of_topic_itself(topic, messages);
    let topic = &topic.ident;
    let idents: Vec<_> = messages.iter().map(|message| message.ident).collect();
    let indices = 0..messages.len();
    quote! {
        #[automatically_derived]
        impl __bus::MessageOf<#topic> for #topic {
            fn descriptor(&self) -> &'static __bus::MessageDescriptor {
                let __index = match self {
                    #(Self::#idents(_) => #indices,)*
                };
                &<#topic as __bus::Topic>::MESSAGES[__index]
            }

            fn to_payload(&self) -> __bus::EncodedPayload {
                <Self as __bus::Topic>::encode(self)
            }

            #key
        }
    }
}
