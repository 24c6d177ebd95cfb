//! The code for the keys of messages.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Ident, Member};

use super::at;
use super::of_topic::OfTopic;
use crate::ast::{Message, MessageEnum};
use crate::attributes::Key;

/// Returns the impls for a topic with a key.
pub(super) fn of_topic(topic: &MessageEnum<'_>, messages: &[Message<'_>]) -> Option<TokenStream> {
    let key = topic.attributes.key.as_ref()?;
    let ident = &topic.ident;
    let of = key.of.as_ref().map_or_else(
        || quote!(type Key = __bus::UnnamedKeyOf<#ident>;),
        |of| quote_spanned!(at(of)=> type Key = #of;),
    );
    let texts = texts(topic, messages);
    Some(quote! {
        #[automatically_derived]
        impl __bus::Keyed for #ident {
            #of
        }
        #texts
    })
}

/// Returns the impls that find the text of each message's key. All texts come from one function, in
/// which the compiler infers one type for all keys, and reports each mistake once.
fn texts(topic: &MessageEnum<'_>, messages: &[Message<'_>]) -> Option<TokenStream> {
    let of = topic.attributes.key.as_ref()?.of.is_some();
    let ident = &topic.ident;
    let of = of.then(|| quote!(::<<#ident as __bus::Keyed>::Key>));
    let texts: Vec<_> = messages
        .iter()
        .filter_map(|message| text(topic, message))
        .collect();
    let payloads: Vec<_> = messages.iter().map(|message| &message.alias).collect();
    (!messages.is_empty()).then(|| {
        quote! {
            enum __AnyMessage<'__message> {
                #(#payloads(&'__message #payloads),)*
            }
            fn __key_text(__message: __AnyMessage<'_>) -> __bus::KeyText<'_> {
                let __type = __bus::KeyType #of ::new();
                match __message {
                    #(__AnyMessage::#texts,)*
                }
            }
            #(
                #[automatically_derived]
                impl __bus::HasKey<#ident> for #payloads {
                    fn key_text(&self) -> __bus::KeyText<'_> {
                        __key_text(__AnyMessage::#payloads(self))
                    }
                }
            )*
        }
    })
}

/// Returns the arm of a message.
fn text(topic: &MessageEnum<'_>, message: &Message<'_>) -> Option<TokenStream> {
    let span = span(topic, message);
    let alias = &message.alias;
    let payload = Ident::new("__message", span);
    let key = source(topic, message)?;
    let text = match key {
        Key::Field(path) => {
            let members = path.iter().map(|member| {
                let member = spanned(member, span);
                quote_spanned!(span=> .#member)
            });
            quote_spanned!(span=> __type.text(&#payload #(#members)*))
        }
        Key::Function(function) => {
            quote_spanned!(span=> __type.owned_text(&#function(#payload)))
        }
    };
    Some(quote!(#alias(#payload) => #text))
}

/// Returns the impl of `Keyed` for an event set. Its bounds hold if all topics have keys of the same
/// type. The compiler checks them where the event set must be `Keyed`, because they have a lifetime.
///
/// The impl does not name the type of the keys, because a topic can be less visible than the event
/// set.
pub(super) fn of_event_set(event_set: &Ident, topics: &[OfTopic<'_>]) -> TokenStream {
    let keyed = topics.iter().map(|of_topic| {
        let topic = of_topic.topic;
        quote!(for<'__key> #topic: __bus::KeyedTopic<'__key>,)
    });
    let same = topics.windows(2).map(|pair| {
        let [first, second] = [0, 1].map(|index| pair.get(index).map(|of_topic| of_topic.topic));
        let [of_first, own] =
            [first, second].map(|topic| quote!(<#topic as __bus::KeyedTopic<'__key>>::KeyOfTopic));
        quote!(for<'__key> #second: __bus::SharesKey<'__key, #own, #first, #of_first>,)
    });
    quote! {
        #[automatically_derived]
        impl __bus::Keyed for #event_set
        where
            #(#keyed)*
            #(#same)*
        {
            type Key = __bus::UnnamedKeyOf<#event_set>;
        }
    }
}

/// Returns the method of `MessageOf` for the message of a variant.
pub(super) fn of_message(topic: &MessageEnum<'_>) -> Option<TokenStream> {
    topic.attributes.key.as_ref()?;
    let ident = &topic.ident;
    Some(quote! {
        fn key(&self) -> __bus::KeyText<'_> {
            <Self as __bus::HasKey<#ident>>::key_text(self)
        }
    })
}

/// Returns the method of `MessageOf` for the topic's enum.
pub(super) fn of_topic_itself(
    topic: &MessageEnum<'_>,
    messages: &[Message<'_>],
) -> Option<TokenStream> {
    topic.attributes.key.as_ref()?;
    let idents = messages.iter().map(|message| message.ident);
    let payloads = messages.iter().map(|message| &message.alias);
    Some(quote! {
        fn key(&self) -> __bus::KeyText<'_> {
            match self {
                #(Self::#idents(__payload) => {
                    <#payloads as __bus::MessageOf<Self>>::key(__payload)
                })*
            }
        }
    })
}

/// Returns the key of a message as the descriptor has it.
pub(super) fn in_descriptor(topic: &MessageEnum<'_>, message: &Message<'_>) -> TokenStream {
    match source(topic, message) {
        Some(source) => {
            let written = source.written();
            quote!(::core::option::Option::Some(#written))
        }
        None => quote!(::core::option::Option::None),
    }
}

/// Returns the name or the index of a field at this place.
fn spanned(member: &Member, span: Span) -> Member {
    let mut member = member.clone();
    match &mut member {
        Member::Named(name) => name.set_span(span),
        Member::Unnamed(index) => index.span = span,
    }
    member
}

/// Returns the place of the key: the variant's own, or the topic's.
fn source<'a>(topic: &'a MessageEnum<'_>, message: &'a Message<'_>) -> Option<&'a Key> {
    let of_topic = topic.attributes.key.as_ref()?;
    let own = message.variant.attributes.key.as_ref();
    Some(own.unwrap_or(&of_topic.key))
}

/// Returns the span for errors: that of the variant's own key or of a function, or else of the
/// message that may not have the topic's field.
fn span(topic: &MessageEnum<'_>, message: &Message<'_>) -> Span {
    let own = &message.variant.attributes.key;
    match source(topic, message) {
        Some(key) if own.is_some() || matches!(key, Key::Function(_)) => at(key),
        _ => at(&message.alias),
    }
}
