//! The rules for topics and event sets. Rules that need types are left to the compiler.

use std::collections::{HashMap, HashSet};

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{Data, Fields, LitInt, LitStr, Type};

use crate::ast::{Message, MessageEnum, Variant, value};
use crate::attributes::Form;
use crate::errors::Errors;

const MAX_NAME: usize = 255;

pub(crate) fn topic(input: &MessageEnum<'_>, errors: &mut Errors) {
    is_enum_of_messages(input, "topic", errors);
    match &input.attributes.name {
        Some(name) => name_is_allowed(&name.value(), name, "topic", errors),
        // An error in the attribute was reported already.
        None if errors.is_empty() => errors.at(
            &input.original.ident,
            "a topic needs a name: add `#[topic(name = \"...\")]`",
        ),
        None => {}
    }
    for variant in input.variants.iter().flatten() {
        if variant.is_unknown() {
            unknown_is_nothing_else(variant, errors);
        } else {
            names_are_allowed(variant, errors);
            versions_are_complete(variant, errors);
        }
    }
    for retired in &input.attributes.retired {
        name_is_allowed(&retired.value(), retired, "message", errors);
    }
    names_are_unique(input, errors);
}

pub(crate) fn event_set(input: &MessageEnum<'_>, errors: &mut Errors) {
    is_enum_of_messages(input, "event set", errors);
    every_message_has_a_topic(input, errors);
    for variant in input.variants.iter().flatten() {
        if variant.is_unknown() {
            unknown_is_nothing_else(variant, errors);
            if let Some(topic) = &variant.attributes.topic {
                errors.at(
                    topic,
                    "the variant for unknown messages is for all topics: remove this attribute",
                );
            }
        } else if let Some(attribute) = &variant.attributes.first {
            errors.at(
                attribute,
                "names, aliases and versions belong to the topic: move this to the variant there",
            );
        }
    }
}

fn every_message_has_a_topic(input: &MessageEnum<'_>, errors: &mut Errors) {
    let without: Vec<_> = input
        .messages()
        .filter(|message| input.topic_of(message.variant).is_none())
        .collect();
    // An error in the attribute was reported already.
    if without.is_empty() || !errors.is_empty() {
        return;
    }
    if without.len() == input.messages().count() {
        return errors.at(
            &input.original.ident,
            "an event set needs its topic: add `#[event_set(topic = ...)]` with the topic's enum",
        );
    }
    for message in without {
        errors.at(
            message.ident,
            "the topic of this message is missing: add `#[event_set(topic = ...)]` to the variant or to the enum",
        );
    }
}

fn unknown_is_nothing_else(variant: &Variant<'_>, errors: &mut Errors) {
    let attributes = &variant.attributes;
    let named = attributes.name.is_some() || !attributes.aliases.is_empty();
    if named || attributes.version.is_some() || !attributes.previous.is_empty() {
        errors.at(
            &attributes.first,
            "the variant for unknown messages cannot have a name or a version: keep only `unknown`",
        );
    }
}

/// Checks that each version from 1 to the current one is given exactly once.
fn versions_are_complete(variant: &Variant<'_>, errors: &mut Errors) {
    let attributes = &variant.attributes;
    if attributes.is_broken {
        return;
    }
    let Some(current) = &attributes.version else {
        if let Some(previous) = attributes.previous.first() {
            let message = "previous versions need the current one: add `version = ...`";
            errors.at(&previous.number, message);
        }
        return;
    };
    let current_value = value(current);
    if current_value == 0 {
        return errors.at(
            current,
            "versions begin at 1: write `version = 1`, or leave it out",
        );
    }
    let others = errors.count();
    let mut seen = HashSet::new();
    for previous in &attributes.previous {
        let number = previous.value();
        if number == 0 {
            errors.at(
                &previous.number,
                "versions begin at 1: number the oldest one 1",
            );
        } else if number >= current_value {
            let message = format!(
                "this is not before the current version: raise `version` to {}",
                number.saturating_add(1)
            );
            errors.at(&previous.number, message);
        } else if !seen.insert(number) {
            errors.at(
                &previous.number,
                format!("version {number} is given twice: keep one"),
            );
        }
    }
    if errors.count() == others {
        no_version_is_missing(variant, current, &seen, errors);
        structs_are_followed_by_structs(variant, errors);
    }
}

fn no_version_is_missing(
    variant: &Variant<'_>,
    current: &LitInt,
    seen: &HashSet<u32>,
    errors: &mut Errors,
) {
    if let Some(missing) = (1..value(current)).find(|version| !seen.contains(version)) {
        let ident = &variant.original.ident;
        errors.at(
            current,
            format!(
                "version {missing} is missing: add `{missing} = v{missing}::{ident}`, its struct, or \
                 `{missing} = json(...)`, a function on its JSON, to `previous(...)`"
            ),
        );
    }
}

/// Checks that the version after a struct is a struct, because `From` converts a struct into the
/// next one.
fn structs_are_followed_by_structs(variant: &Variant<'_>, errors: &mut Errors) {
    for previous in &variant.attributes.previous {
        let next = variant
            .attributes
            .previous
            .iter()
            .find(|next| next.value() == previous.value() + 1);
        if let (Form::Struct(tokens), Some(Form::Json(_))) = (&previous.form, next.map(|n| &n.form))
        {
            errors.at(
                tokens,
                "the next version is read as JSON, so this struct cannot be converted into it: write `json(...)` here, too",
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
            format!("the {what} cannot be generic: each stored message must belong to one type"),
        );
    }
    if variants.iter().all(Variant::is_unknown) {
        errors.at(
            &original.ident,
            format!("the {what} has no messages: add a variant such as `OrderPlaced(OrderPlaced)`"),
        );
    }
    for variant in variants {
        holds_one_message(input, variant, errors);
    }
    payloads_are_unique(input, errors);
    for second in variants
        .iter()
        .filter(|variant| variant.is_unknown())
        .skip(1)
    {
        errors.at(
            &second.attributes.unknown,
            "there is already a variant for unknown messages: keep one",
        );
    }
}

fn holds_one_message(input: &MessageEnum<'_>, variant: &Variant<'_>, errors: &mut Errors) {
    if let Some(message) = variant.message() {
        return holds_a_struct(input, message.payload, errors);
    }
    if variant.field.is_some() {
        return;
    }
    let ident = &variant.original.ident;
    let shape = match &variant.original.fields {
        Fields::Unit => "holds nothing",
        Fields::Named(_) => "has named fields",
        Fields::Unnamed(_) => "holds something else",
    };
    let right = if variant.is_unknown() {
        format!("`{ident}(RawMessage)`")
    } else {
        format!("`{ident}({ident})` with a struct of that name")
    };
    errors.at(
        variant_without_attributes(variant),
        format!("a variant holds one message struct, but this one {shape}: write {right}"),
    );
}

fn holds_a_struct(input: &MessageEnum<'_>, payload: &Type, errors: &mut Errors) {
    if input.is_itself(payload) {
        errors.at(
            payload,
            "a variant cannot hold the enum itself: give it a message struct",
        );
    }
    if let Type::Reference(reference) = payload {
        let message =
            "a message is read back from the database: hold the struct instead of a reference";
        errors.at(reference.and_token, message);
    }
}

/// Checks that each struct stands for one message type of its topic.
fn payloads_are_unique(input: &MessageEnum<'_>, errors: &mut Errors) {
    let mut seen = HashMap::new();
    for message in input.messages() {
        let topic = input
            .topic_of(message.variant)
            .to_token_stream()
            .to_string();
        let payload = message.payload.to_token_stream().to_string();
        if let Some(first) = seen.get(&(topic.clone(), payload.clone())) {
            errors.at(
                message.payload,
                format!(
                    "`{first}` already holds this message: give each variant a struct of its own"
                ),
            );
        } else {
            seen.insert((topic, payload), message.ident);
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
    } else if length > MAX_NAME {
        format!("has {length} characters: shorten it to {MAX_NAME}")
    } else if name.chars().any(char::is_control) {
        "has a control character: remove it".to_owned()
    } else if name.trim() != name {
        "starts or ends with white space: remove it".to_owned()
    } else {
        return;
    };
    errors.at(tokens, format!("the {what}'s name {problem}"));
}

/// Checks that all names, aliases and retired names are different.
fn names_are_unique(input: &MessageEnum<'_>, errors: &mut Errors) {
    let mut seen = HashMap::new();
    names_of_messages_are_unique(input, &mut seen, errors);
    retired_names_are_unique(&input.attributes.retired, &seen, errors);
}

/// Checks the names and aliases, and collects them with the variants that have them.
fn names_of_messages_are_unique(
    input: &MessageEnum<'_>,
    seen: &mut HashMap<String, String>,
    errors: &mut Errors,
) {
    for Message { variant, .. } in input.messages() {
        let ident = &variant.original.ident;
        let own = if let Some(name) = &variant.attributes.name {
            quote!(#name)
        } else {
            quote!(#ident)
        };
        let aliases = variant.attributes.aliases.iter();
        let names = std::iter::once((variant.name(), own))
            .chain(aliases.map(|alias| (alias.value(), quote!(#alias))));
        for (name, tokens) in names {
            if let Some(first) = seen.get(&name) {
                let problem = if *ident == first {
                    "is given twice: keep one".to_owned()
                } else {
                    format!("already belongs to `{first}`: choose another name")
                };
                errors.at(tokens, format!("the message type \"{name}\" {problem}"));
            } else {
                seen.insert(name, ident.to_string());
            }
        }
    }
}

/// Checks that no message has a retired name, and that each is given once. `seen` has the names and
/// aliases of the messages.
fn retired_names_are_unique(
    retired: &[LitStr],
    seen: &HashMap<String, String>,
    errors: &mut Errors,
) {
    let mut retired_before = HashSet::new();
    for literal in retired {
        let name = literal.value();
        if let Some(variant) = seen.get(&name) {
            errors.at(
                literal,
                format!(
                    "the message type \"{name}\" is retired, but `{variant}` has that name or alias: \
                     remove it here or there"
                ),
            );
        } else if !retired_before.insert(name) {
            errors.at(
                literal,
                format!(
                    "the message type \"{}\" is retired twice: keep one",
                    literal.value()
                ),
            );
        }
    }
}

fn variant_without_attributes(variant: &Variant<'_>) -> TokenStream {
    let ident = &variant.original.ident;
    let fields = &variant.original.fields;
    quote!(#ident #fields)
}
