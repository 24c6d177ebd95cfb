//! Replaces `Self` by the name of the enum.
//!
//! In the generated code, `Self` is often a message struct. In the user's code, it is the enum.

use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};

/// The keywords of items that have a `Self` of their own.
const ITEMS: [&str; 4] = ["enum", "impl", "struct", "trait"];

pub(super) fn replace(input: TokenStream) -> TokenStream {
    match name(&input) {
        Some(name) => in_tokens(input, &name, &[]),
        None => input,
    }
}

/// Returns the name that follows `enum`.
fn name(input: &TokenStream) -> Option<Ident> {
    let mut tokens = input.clone().into_iter();
    tokens.find(|token| is_ident(token, &["enum"]))?;
    let name = match tokens.next()? {
        // A name that a macro has passed on.
        TokenTree::Group(group) => group.stream().into_iter().next()?,
        name => name,
    };
    match name {
        TokenTree::Ident(name) => Some(name),
        _ => None,
    }
}

/// Replaces `Self`, but leaves the items with these keywords as they are.
fn in_tokens(tokens: TokenStream, name: &Ident, items: &[&str]) -> TokenStream {
    let mut is_in_item = false;
    let replaced = tokens.into_iter().map(|token| {
        let ends_item = match &token {
            TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
            TokenTree::Punct(punct) => punct.as_char() == ';',
            _ => false,
        };
        is_in_item |= is_ident(&token, items);
        let token = if is_in_item {
            token
        } else {
            in_token(token, name)
        };
        is_in_item &= !ends_item;
        token
    });
    replaced.collect()
}

fn in_token(token: TokenTree, name: &Ident) -> TokenTree {
    match token {
        TokenTree::Group(group) if mentions_self(&group.stream()) => {
            let stream = in_tokens(group.stream(), name, &ITEMS);
            let mut replaced = Group::new(group.delimiter(), stream);
            replaced.set_span(group.span());
            replaced.into()
        }
        token if is_ident(&token, &["Self"]) => {
            let mut replaced = name.clone();
            replaced.set_span(token.span());
            replaced.into()
        }
        token => token,
    }
}

fn mentions_self(tokens: &TokenStream) -> bool {
    tokens.clone().into_iter().any(|token| match &token {
        TokenTree::Group(group) => mentions_self(&group.stream()),
        token => is_ident(token, &["Self"]),
    })
}

fn is_ident(token: &TokenTree, names: &[&str]) -> bool {
    matches!(token, TokenTree::Ident(ident) if names.iter().any(|name| ident == name))
}
