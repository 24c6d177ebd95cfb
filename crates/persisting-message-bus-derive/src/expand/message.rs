use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::Ident;
use syn::spanned::Spanned;

use crate::ast::Message;

/// What makes a struct a message of the topic.
pub(super) fn impls(topic: &Ident, index: usize, message: &Message<'_>) -> TokenStream {
    let message_of = message_of(topic, index, message);
    let from = from(topic, message);
    quote! {
        #message_of
        #from
    }
}

fn message_of(topic: &Ident, index: usize, message: &Message<'_>) -> TokenStream {
    let payload = message.payload;
    let encode = quote_spanned!(payload.span()=> __bus::encode_payload::<#payload>);
    quote! {
        #[automatically_derived]
        impl __bus::Registered<#topic> for #payload {
            const INDEX: ::core::primitive::usize = #index;
        }

        #[automatically_derived]
        impl __bus::MessageOf<#topic> for #payload {
            fn descriptor(&self) -> &'static __bus::MessageDescriptor {
                &<#topic as __bus::Topic>::MESSAGES[#index]
            }

            fn to_payload(&self) -> __bus::EncodedPayload {
                #encode(self)
            }
        }
    }
}

fn from(topic: &Ident, message: &Message<'_>) -> TokenStream {
    let ident = message.ident;
    let payload = message.payload;
    quote! {
        #[automatically_derived]
        impl ::core::convert::From<#payload> for #topic {
            fn from(payload: #payload) -> Self {
                Self::#ident(::core::convert::From::from(payload))
            }
        }
    }
}

/// The topic's enum is a message of the topic too: the one in its variant.
pub(super) fn of_topic_itself(topic: &Ident, messages: &[Message<'_>]) -> TokenStream {
    let idents: Vec<_> = messages.iter().map(|message| message.ident).collect();
    let payloads = messages.iter().map(|message| message.payload);
    let indices = 0..messages.len();
    quote! {
        #[automatically_derived]
        impl __bus::MessageOf<#topic> for #topic {
            fn descriptor(&self) -> &'static __bus::MessageDescriptor {
                let index = match self {
                    #(Self::#idents(_) => #indices,)*
                };
                &<#topic as __bus::Topic>::MESSAGES[index]
            }

            fn to_payload(&self) -> __bus::EncodedPayload {
                match self {
                    #(Self::#idents(payload) => {
                        <#payloads as __bus::MessageOf<#topic>>::to_payload(payload)
                    })*
                }
            }
        }
    }
}
