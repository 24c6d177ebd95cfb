use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::Ident;

use super::keys;
use super::of_topic::{OfTopic, by_topic};
use super::scope::Scope;
use super::topic::decoded;
use super::unknown;
use crate::ast::MessageEnum;

pub(super) fn impls(event_set: &MessageEnum<'_>, scope: &mut Scope) {
    let ident = &event_set.ident;
    let topics = by_topic(event_set);
    scope.add_for_enum(topics_are_different(ident, &topics));
    scope.add_for_enum(keys::of_event_set(ident, &topics));
    scope.add(messages_are_different(ident, &topics));
    scope.add(event_set_impl(event_set, &topics));
}

fn event_set_impl(event_set: &MessageEnum<'_>, topics: &[OfTopic<'_>]) -> TokenStream {
    let ident = &event_set.ident;
    let selections = topics.iter().map(|of_topic| selection(event_set, of_topic));
    let decoded = decode(event_set, topics);
    let names = topics.iter().flat_map(OfTopic::message_type_arms);
    let unknown_arm = unknown::message_type_arm(event_set);
    quote! {
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

/// Returns a check that only the compiler can make: differently written paths may have the same
/// meaning.
fn topics_are_different(ident: &Ident, topics: &[OfTopic<'_>]) -> TokenStream {
    let names = topics.iter().map(|of_topic| of_topic.topic);
    let names = quote!(&[#(<#names as __bus::Topic>::NAME),*]);
    let refuse = quote_spanned!(ident.span()=> __bus::refuse_repeated_topics(#names));
    quote!(const _: () = #refuse;)
}

/// Returns such a check for the messages of each topic.
fn messages_are_different(ident: &Ident, topics: &[OfTopic<'_>]) -> TokenStream {
    let checks = topics.iter().map(|of_topic| {
        let topic = of_topic.topic;
        let indices = of_topic.indices();
        let types = quote!({ <#topic as __bus::Topic>::MESSAGES.len() });
        let refuse =
            quote_spanned!(ident.span()=> __bus::refuse_repeated::<#types>(&[#(#indices),*]));
        quote!(const _: () = #refuse;)
    });
    checks.collect()
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
    let expected = format!("event set `{}`", event_set.ident);
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
