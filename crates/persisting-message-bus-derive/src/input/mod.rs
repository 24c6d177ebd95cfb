//! The input of a derive as syntax.

mod lifetimes;
mod recover;
mod self_type;

use proc_macro2::TokenStream;
use syn::DeriveInput;

use crate::errors::Errors;

/// The enum of the user, with one meaning for each name.
pub(crate) struct Input {
    pub(crate) item: DeriveInput,
    /// Whether the syntax is broken, so that variants may be missing.
    pub(crate) is_broken: bool,
}

impl Input {
    /// Parses the input. Returns `None` if it has no enum with a name.
    pub(crate) fn parse(tokens: TokenStream, errors: &mut Errors) -> Option<Self> {
        let tokens = self_type::replace(tokens);
        let (mut item, is_broken) = match syn::parse2(tokens.clone()) {
            Ok(item) => (item, false),
            Err(error) => match recover::recover(tokens) {
                Ok(item) => (item, true),
                Err(_) => {
                    errors.push(error);
                    return None;
                }
            },
        };
        if is_broken {
            errors.leave_to_compiler();
        }
        lifetimes::make_static(&mut item, errors);
        Some(Self { item, is_broken })
    }
}
