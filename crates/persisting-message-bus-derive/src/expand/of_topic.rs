//! The messages of an event set, topic by topic.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::Path;

use crate::ast::{Message, MessageEnum};

/// The messages that an event set takes from one topic.
pub(super) struct OfTopic<'a> {
    pub(super) topic: &'a Path,
    pub(super) messages: Vec<Message<'a>>,
}

/// Returns the messages of each topic, in the order in which the topics appear.
pub(super) fn by_topic<'a>(event_set: &'a MessageEnum<'_>) -> Vec<OfTopic<'a>> {
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

impl OfTopic<'_> {
    /// Returns the indices of the payloads among the topic's messages. They do not compile if a
    /// payload is not a message of the topic.
    pub(super) fn indices(&self) -> Vec<TokenStream> {
        let topic = self.topic;
        let registry = quote!(<#topic as __bus::Topic>::Registry);
        let index = |message: &Message<'_>| {
            let payload = &message.alias;
            quote_spanned!(payload.span()=> <#payload as __bus::Registered<#registry>>::INDEX)
        };
        self.messages.iter().map(index).collect()
    }

    /// Returns the arms of `message_type`. They read the payload, because the compiler would warn of
    /// fields that a consumer does not read.
    pub(super) fn message_type_arms(&self) -> Vec<TokenStream> {
        let topic = self.topic;
        let arm = |(message, index): (&Message<'_>, TokenStream)| {
            let ident = message.ident;
            quote!(Self::#ident(__payload) => <#topic as __bus::Topic>::MESSAGES[#index].name,)
        };
        self.messages.iter().zip(self.indices()).map(arm).collect()
    }
}
