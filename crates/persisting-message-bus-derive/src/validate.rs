//! Every rule that a topic or an event set has to keep. What needs types is left to the compiler.

use std::collections::HashMap;

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{Data, Fields};

use crate::ast::{MessageEnum, Variant};
use crate::errors::Errors;

const LONGEST_NAME: usize = 255;

pub(crate) fn topic(input: &MessageEnum<'_>, errors: &mut Errors) {
    is_enum_of_messages(input, "topic", errors);
    match &input.attributes.name {
        Some(name) => name_is_allowed(&name.value(), name, "topic", errors),
        // A mistake in the attribute was reported already.
        None if errors.is_empty() => errors.at(
            &input.original.ident,
            "a topic needs a name: add `#[topic(name = \"...\")]`",
        ),
        None => {}
    }
    for variant in input.variants.iter().flatten() {
        names_are_allowed(variant, errors);
    }
    names_are_unique(input, errors);
}

pub(crate) fn event_set(input: &MessageEnum<'_>, errors: &mut Errors) {
    is_enum_of_messages(input, "event set", errors);
    if input.attributes.topic.is_none() && errors.is_empty() {
        errors.at(
            &input.original.ident,
            "an event set needs its topic: add `#[event_set(topic = ...)]` with the topic's enum",
        );
    }
    for variant in input.variants.iter().flatten() {
        if let Some(attribute) = &variant.attributes.first {
            errors.at(
                attribute,
                "names and aliases belong to the topic: move this to the variant there",
            );
        }
    }
}

fn is_enum_of_messages(input: &MessageEnum<'_>, what: &str, errors: &mut Errors) {
    let original = input.original;
    let Some(variants) = &input.variants else {
        let keyword: TokenStream = match &original.data {
            Data::Struct(data) => data.struct_token.to_token_stream(),
            Data::Union(data) => data.union_token.to_token_stream(),
            Data::Enum(data) => data.enum_token.to_token_stream(),
        };
        let message = format!("a {what} is an enum with one variant for each message struct");
        return errors.at(keyword, message.replace("a event", "an event"));
    };
    if !original.generics.params.is_empty() {
        errors.at(
            &original.generics,
            format!(
                "the {what} cannot be generic: what is stored has to name one type for each message"
            ),
        );
    }
    if variants.is_empty() {
        errors.at(
            &original.ident,
            format!("the {what} has no messages: add a variant such as `OrderPlaced(OrderPlaced)`"),
        );
    }
    for variant in variants {
        holds_one_message(variant, errors);
    }
    payloads_are_unique(variants, errors);
}

fn holds_one_message(variant: &Variant<'_>, errors: &mut Errors) {
    if variant.payload.is_some() {
        return;
    }
    let ident = &variant.original.ident;
    let shape = match &variant.original.fields {
        Fields::Unit => "holds none",
        Fields::Named(_) => "has named fields",
        Fields::Unnamed(_) => "holds something else",
    };
    errors.at(
        variant_without_attributes(variant),
        format!("a variant holds one message struct, this one {shape}: write `{ident}({ident})` with a struct of that name"),
    );
}

fn payloads_are_unique(variants: &[Variant<'_>], errors: &mut Errors) {
    let mut seen = HashMap::new();
    for variant in variants {
        let Some(payload) = variant.payload else {
            continue;
        };
        let message = payload.to_token_stream().to_string();
        if let Some(first) = seen.get(&message) {
            errors.at(
                payload,
                format!(
                    "`{first}` holds this message already: give each variant a struct of its own"
                ),
            );
        } else {
            seen.insert(message, variant.original.ident.to_string());
        }
    }
}

fn names_are_allowed(variant: &Variant<'_>, errors: &mut Errors) {
    if variant.attributes.name.is_none() {
        let ident = &variant.original.ident;
        name_is_allowed(&variant.name(), ident, "message", errors);
    }
    for name in variant
        .attributes
        .name
        .iter()
        .chain(&variant.attributes.aliases)
    {
        name_is_allowed(&name.value(), name, "message", errors);
    }
}

fn name_is_allowed(name: &str, tokens: impl ToTokens, what: &str, errors: &mut Errors) {
    let length = name.chars().count();
    let problem = if name.is_empty() {
        "is empty: it needs at least 1 character".to_owned()
    } else if length > LONGEST_NAME {
        format!("has {length} characters: shorten it to {LONGEST_NAME}")
    } else if name.chars().any(char::is_control) {
        "has a control character: leave it out".to_owned()
    } else if name.trim() != name {
        "starts or ends with white space: leave that out".to_owned()
    } else {
        return;
    };
    errors.at(tokens, format!("the {what}'s name {problem}"));
}

/// No two of all names and aliases are the same.
fn names_are_unique(input: &MessageEnum<'_>, errors: &mut Errors) {
    let mut seen: HashMap<String, String> = HashMap::new();
    for variant in input.variants.iter().flatten() {
        let ident = &variant.original.ident;
        let own = match &variant.attributes.name {
            Some(name) => quote!(#name),
            None => quote!(#ident),
        };
        let aliases = variant.attributes.aliases.iter();
        let names = std::iter::once((variant.name(), own))
            .chain(aliases.map(|alias| (alias.value(), quote!(#alias))));
        for (name, tokens) in names {
            if let Some(first) = seen.get(&name) {
                let problem = match *ident == first {
                    true => "stands here twice: leave one".to_owned(),
                    false => format!("is `{first}`'s already: choose another name"),
                };
                errors.at(tokens, format!("the message type \"{name}\" {problem}"));
            } else {
                seen.insert(name, ident.to_string());
            }
        }
    }
}

fn variant_without_attributes(variant: &Variant<'_>) -> TokenStream {
    let ident = &variant.original.ident;
    let fields = &variant.original.fields;
    quote!(#ident #fields)
}
