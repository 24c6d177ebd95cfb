//! The key of a message: `key = order_id`, `key = order.id` or `key = fn key_of_order`.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::punctuated::Punctuated;
use syn::{ExprPath, Lit, Member, Token, Type};

use super::item::{Item, error_at_next};
use crate::payload::plain;

const FIX: &str = "write the name of a field, such as `key = order_id`, the path of a field, such as \
     `key = order.id`, or a function, such as `key = fn key_of_order`";

/// The place in a message where its key is.
pub(crate) enum Key {
    /// A field, or a field of a field.
    Field(Punctuated<Member, Token![.]>),
    /// A function that returns the key.
    Function(ExprPath),
}

/// The key of a topic: the place in each message, and the type if it is written.
pub(crate) struct TopicKey {
    pub(crate) key: Key,
    pub(crate) of: Option<Type>,
}

impl Key {
    /// Returns the place as the user has written it.
    pub(crate) fn written(&self) -> String {
        match self {
            Self::Field(path) => plain(path),
            Self::Function(path) => format!("fn {}", plain(path)),
        }
    }
}

impl ToTokens for Key {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match self {
            Self::Field(path) => path.to_tokens(tokens),
            Self::Function(path) => path.to_tokens(tokens),
        }
    }
}

impl TopicKey {
    /// Reads `key = order_id` or `key = order_id: OrderId`.
    pub(super) fn parse(item: &Item<'_>) -> syn::Result<Self> {
        let key = key(item)?;
        let input = item.input;
        if !input.peek(Token![:]) || input.peek(Token![::]) {
            item.ends(FIX)?;
            return Ok(Self { key, of: None });
        }
        input.parse::<Token![:]>()?;
        let fix = "write the type of the keys: `key = order_id: OrderId`";
        let of = input.parse().map_err(|_| item.error_at_value(fix))?;
        item.ends(fix)?;
        Ok(Self { key, of: Some(of) })
    }
}

impl Key {
    /// Reads `key = order_id`, on a variant.
    pub(super) fn parse(item: &Item<'_>) -> syn::Result<Self> {
        let key = key(item)?;
        if item.input.peek(Token![:]) && !item.input.peek(Token![::]) {
            let fix =
                "the type of the keys belongs to the topic: write it in `#[topic(key = ...)]`";
            return Err(error_at_next(item.input, fix));
        }
        item.ends(FIX)?;
        Ok(key)
    }
}

fn key(item: &Item<'_>) -> syn::Result<Key> {
    item.equals(FIX)?;
    let input = item.input;
    if let Ok(Lit::Str(text)) = input.fork().parse() {
        let fix = format!("write the field without quotes: `key = {}`", text.value());
        return Err(item.error_at_value(fix));
    }
    if input.peek(Token![fn]) {
        input.parse::<Token![fn]>()?;
        let function = input.parse();
        let function = function.map_err(|_| {
            item.error_at_value("write the path of a function: `key = fn key_of_order`")
        })?;
        return Ok(Key::Function(function));
    }
    let path = Punctuated::parse_separated_nonempty(input);
    path.map(Key::Field).map_err(|_| item.error_at_value(FIX))
}
