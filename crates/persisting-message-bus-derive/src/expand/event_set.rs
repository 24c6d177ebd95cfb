use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Ident, Path};

use super::topic::decoded;
use super::unknown;
use crate::ast::{Message, MessageEnum};

/// The messages that an event set takes from one topic.
struct OfTopic<'a> {
    topic: &'a Path,
    messages: Vec<Message<'a>>,
}

pub(super) fn impls(event_set: &MessageEnum<'_>) -> TokenStream {
    let ident = &event_set.original.ident;
    let topics = by_topic(event_set);
    let selections = topics.iter().map(|of_topic| selection(event_set, of_topic));
    let decoded = decode(event_set, &topics);
    let names = topics.iter().flat_map(OfTopic::message_type_arms);
    let unknown_arm = unknown::message_type_arm(event_set);
    let refusals = refusals(ident, &topics);
    quote! {
        #refusals

        #[automatically_derived]
        impl __bus::EventSet for #ident {
            const SELECTIONS: &'static [__bus::TopicFilter] = &[#(#selections),*];

            fn decode(
                __message: &__bus::StoredMessage<'_>,
            ) -> ::core::result::Result<Self, __bus::Error> {
                #decoded
            }

            fn message_type(&self) -> &::core::primitive::str {
                match self {
                    #(#names)*
                    #unknown_arm
                }
            }
        }
    }
}

/// Returns the checks that only the compiler can make: differently written paths may have the same
/// meaning.
fn refusals(ident: &Ident, topics: &[OfTopic<'_>]) -> TokenStream {
    let names = topics.iter().map(|of_topic| of_topic.topic);
    let names = quote!(&[#(<#names as __bus::Topic>::NAME),*]);
    let repeated = topics.iter().map(|of_topic| {
        let indices = of_topic.indices();
        quote_spanned!(ident.span()=> __bus::refuse_repeated(&[#(#indices),*]);)
    });
    quote_spanned! {ident.span()=>
        const _: () = {
            __bus::refuse_repeated_topics(#names);
            #(#repeated)*
        };
    }
}

/// Returns the messages of each topic, in the order in which the topics appear.
fn by_topic<'a>(event_set: &'a MessageEnum<'_>) -> Vec<OfTopic<'a>> {
    let mut topics: Vec<OfTopic<'a>> = Vec::new();
    for message in event_set.messages() {
        let Some(topic) = event_set.topic_of(message.variant) else {
            continue;
        };
        let tokens = topic.to_token_stream().to_string();
        let known = topics
            .iter_mut()
            .find(|known| known.topic.to_token_stream().to_string() == tokens);
        match known {
            Some(known) => known.messages.push(message),
            None => topics.push(OfTopic {
                topic,
                messages: vec![message],
            }),
        }
    }
    topics
}

fn selection(event_set: &MessageEnum<'_>, of_topic: &OfTopic<'_>) -> TokenStream {
    let topic = of_topic.topic;
    let indices = of_topic.indices();
    let chosen = quote!(&[#(&<#topic as __bus::Topic>::MESSAGES[#indices],)*]);
    let wanted = if event_set.unknown().is_none() {
        quote!(Only(#chosen))
    } else {
        quote!(OnlyAndUnknown {
            chosen: #chosen,
            known: <#topic as __bus::Topic>::MESSAGES,
        })
    };
    quote! {
        __bus::TopicFilter {
            topic: <#topic as __bus::Topic>::NAME,
            wanted: __bus::WantedMessages::#wanted,
            retired: <#topic as __bus::Topic>::RETIRED,
        }
    }
}

fn decode(event_set: &MessageEnum<'_>, topics: &[OfTopic<'_>]) -> TokenStream {
    let expected = format!("event set `{}`", event_set.original.ident);
    let unknown = quote!(::core::result::Result::Err(__bus::unknown_message(__message, #expected)));
    let arms = topics.iter().map(|of_topic| {
        let topic = of_topic.topic;
        let registry = quote!(<#topic as __bus::Topic>::Registry);
        let indices = of_topic.indices();
        let decoded = of_topic
            .messages
            .iter()
            .map(|message| decoded(&registry, message));
        quote! {
            __topic if __topic == <#topic as __bus::Topic>::NAME => {
                match <#topic as __bus::Topic>::index_of(__message.message_type) {
                    #(::core::option::Option::Some(#indices) => #decoded,)*
                    _ => ::core::result::Result::Err(
                        __bus::retired_or_unknown::<#topic>(__message, #expected),
                    ),
                }
            }
        }
    });
    unknown::catch(
        event_set,
        &quote! {
            match __message.topic {
                #(#arms)*
                _ => #unknown,
            }
        },
    )
}

impl OfTopic<'_> {
    /// Returns the indices of the payloads among the topic's messages. They do not compile if a
    /// payload is not a message of the topic.
    fn indices(&self) -> Vec<TokenStream> {
        let topic = self.topic;
        let registry = quote!(<#topic as __bus::Topic>::Registry);
        let index = |message: &Message<'_>| {
            let payload = message.payload;
            quote_spanned!(payload.span()=> <#payload as __bus::Registered<#registry>>::INDEX)
        };
        self.messages.iter().map(index).collect()
    }

    fn message_type_arms(&self) -> Vec<TokenStream> {
        let topic = self.topic;
        let arm = |(message, index): (&Message<'_>, TokenStream)| {
            let ident = message.ident;
            quote!(Self::#ident(_) => <#topic as __bus::Topic>::MESSAGES[#index].name,)
        };
        self.messages.iter().zip(self.indices()).map(arm).collect()
    }
}
