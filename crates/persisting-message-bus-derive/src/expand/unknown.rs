//! The code for messages that the enum does not know.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::Ident;

use super::at;
use crate::ast::{MessageEnum, Unknown};

/// Returns the code that puts an unknown message of `decoded` into the variant for unknown
/// messages, if the enum has one.
pub(super) fn catch(input: &MessageEnum<'_>, decoded: &TokenStream) -> TokenStream {
    let Some(Unknown { ident, alias, .. }) = input.unknown() else {
        return decoded.clone();
    };
    let keep = quote_spanned!(at(&alias)=> <#alias as __bus::HoldsUnknown>::hold);
    quote! {
        match { #decoded } {
            ::core::result::Result::Err(__error) if __error.is_unknown_message() => {
                ::core::result::Result::Ok(Self::#ident(#keep(__message)))
            }
            __decoded => __decoded,
        }
    }
}

/// Returns the arm of `message_type` for the variant.
pub(super) fn message_type_arm(input: &MessageEnum<'_>) -> Option<TokenStream> {
    let (ident, stored) = stored(input)?;
    Some(quote!(Self::#ident(__unknown) => &#stored(__unknown).message_type,))
}

/// Returns the arm of `encode` for the variant.
pub(super) fn encode_arm(input: &MessageEnum<'_>) -> Option<TokenStream> {
    let (ident, stored) = stored(input)?;
    Some(quote! {
        Self::#ident(__unknown) => {
            ::core::result::Result::Ok(::core::clone::Clone::clone(&#stored(__unknown).payload))
        }
    })
}

fn stored<'a>(input: &'a MessageEnum<'_>) -> Option<(&'a Ident, TokenStream)> {
    let Unknown { ident, alias, .. } = input.unknown()?;
    let stored = quote_spanned!(at(&alias)=> <#alias as __bus::HoldsUnknown>::stored);
    Some((ident, stored))
}
