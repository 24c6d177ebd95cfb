use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;

use super::topic::decoded;
use crate::ast::{Message, MessageEnum};

pub(super) fn impls(event_set: &MessageEnum<'_>) -> TokenStream {
    let ident = &event_set.original.ident;
    let topic = &event_set.attributes.topic;
    let expected = format!("event set `{ident}`");
    let messages: Vec<_> = event_set.messages().collect();
    let idents: Vec<_> = messages.iter().map(|message| message.ident).collect();
    let indices: Vec<_> = messages
        .iter()
        .map(|message| index(topic.as_ref(), message))
        .collect();
    let decoded = messages.iter().map(decoded);
    quote! {
        #[automatically_derived]
        impl __bus::EventSet for #ident {
            const SELECTIONS: &'static [__bus::Selection] = &[__bus::Selection {
                topic: <#topic as __bus::Topic>::NAME,
                wanted: __bus::Wanted::Only(&[
                    #(&<#topic as __bus::Topic>::MESSAGES[#indices],)*
                ]),
            }];

            fn decode(
                message: &__bus::StoredMessage<'_>,
            ) -> ::core::result::Result<Self, __bus::Error> {
                match <#topic as __bus::Topic>::index_of(message.message_type) {
                    #(::core::option::Option::Some(#indices) => #decoded,)*
                    _ => ::core::result::Result::Err(__bus::unknown_message(message, #expected)),
                }
            }

            fn message_type(&self) -> &::core::primitive::str {
                let index = match self {
                    #(Self::#idents(_) => #indices,)*
                };
                <#topic as __bus::Topic>::MESSAGES[index].name
            }
        }
    }
}

/// The index of the payload among the topic's messages; does not compile where it is none of them.
fn index(topic: Option<&syn::Path>, message: &Message<'_>) -> TokenStream {
    let payload = message.payload;
    let registry = quote!(<#topic as __bus::Topic>::Registry);
    quote_spanned!(payload.span()=> <#payload as __bus::Registered<#registry>>::INDEX)
}
