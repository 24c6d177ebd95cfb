//! The items of an attribute, such as `name = "orders"`.

use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{Attribute, Ident, LitStr, Token};

use super::item::{Item, error_at_next};
use crate::errors::Errors;

/// Parses the items of all attributes of this name. `list` names the items.
pub(super) fn for_each(
    attributes: &[Attribute],
    name: &str,
    list: &str,
    errors: &mut Errors,
    mut set: impl FnMut(&Item<'_>) -> syn::Result<()>,
) {
    for attribute in attributes.iter().filter(|a| a.path().is_ident(name)) {
        let expected = |text: Option<LitStr>| match text {
            Some(text) if name == "event_set" => format!("write `topic = {}`", text.value()),
            Some(text) => format!("write `name = {}`", text.token()),
            None => format!("expected {list}"),
        };
        let items = |input: ParseStream<'_>| items(input, &expected, &mut set);
        let result = match attribute.meta.require_list() {
            Ok(list) => items.parse2(list.tokens.clone()),
            Err(error) => {
                let fix = format!("write `#[{name}(...)]`, with {list} in the parentheses");
                Err(syn::Error::new(error.span(), fix))
            }
        };
        if let Err(error) = result {
            errors.push(error);
        }
    }
}

fn items(
    input: ParseStream<'_>,
    expected: &impl Fn(Option<LitStr>) -> String,
    set: &mut impl FnMut(&Item<'_>) -> syn::Result<()>,
) -> syn::Result<()> {
    while !input.is_empty() {
        let Ok(key) = input.call(Ident::parse_any) else {
            return Err(error_at_next(input, expected(input.fork().parse().ok())));
        };
        set(&Item { key, input })?;
        if !input.is_empty() {
            input.parse::<Token![,]>()?;
        }
    }
    Ok(())
}
