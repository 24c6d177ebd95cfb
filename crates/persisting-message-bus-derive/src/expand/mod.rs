//! The generated code. It uses only names of `::core` and of the library's `__private`.

mod event_set;
mod keys;
mod message;
mod of_topic;
mod scope;
mod stub;
mod topic;
mod unknown;
mod versions;

use proc_macro2::{Span, TokenStream};
use syn::spanned::Spanned;

use self::scope::Scope;
use crate::ast::MessageEnum;
use crate::errors::Errors;
use crate::input::Input;
use crate::kind::Kind;
use crate::{other_kind, validate};

pub(crate) fn expand(tokens: TokenStream, kind: Kind) -> TokenStream {
    let mut errors = Errors::default();
    let mut code = TokenStream::new();
    if let Some(input) = Input::parse(tokens, &mut errors)
        && !other_kind::check(&input.item.attrs, kind, &mut errors)
    {
        code = impls(&input, kind, &mut errors);
    }
    code.extend(errors.to_compile_errors());
    code
}

fn impls(input: &Input, kind: Kind, errors: &mut Errors) -> TokenStream {
    let parsed = MessageEnum::parse(&input.item, kind, errors);
    // Variants may be missing in a broken enum.
    if !input.is_broken {
        match kind {
            Kind::Topic => validate::topic(&parsed, errors),
            Kind::EventSet => validate::event_set(&parsed, errors),
        }
    }
    let mut scope = Scope::new(&parsed);
    match (kind, errors.is_empty()) {
        (Kind::Topic, true) => topic::impls(&parsed, &mut scope),
        (Kind::Topic, false) => scope.add(stub::topic(&parsed)),
        (Kind::EventSet, true) => event_set::impls(&parsed, &mut scope),
        (Kind::EventSet, false) => scope.add(stub::event_set(&parsed)),
    }
    scope.into_tokens()
}

/// Returns the span of these tokens for errors, with the name resolution of the derive itself.
/// Tokens that a macro wrote resolve names elsewhere.
fn at(tokens: &impl Spanned) -> Span {
    tokens.span().resolved_at(Span::call_site())
}
