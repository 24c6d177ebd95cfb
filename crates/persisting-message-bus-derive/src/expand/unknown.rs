//! What becomes of a message that the enum does not know.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;

use crate::ast::MessageEnum;

/// Puts what is unknown in `decoded` in the variant for it, if the enum has one.
pub(super) fn catch(input: &MessageEnum<'_>, decoded: &TokenStream) -> TokenStream {
    let Some((ident, field)) = input.unknown() else {
        return decoded.clone();
    };
    let keep = quote_spanned!(field.span()=> <#field as __bus::HoldsUnknown>::hold);
    quote! {
        match { #decoded } {
            ::core::result::Result::Err(error) if error.is_unknown_message() => {
                ::core::result::Result::Ok(Self::#ident(#keep(message)))
            }
            decoded => decoded,
        }
    }
}

/// The arm of `message_type` for the variant.
pub(super) fn message_type_arm(input: &MessageEnum<'_>) -> Option<TokenStream> {
    let (ident, field) = input.unknown()?;
    let message_type = quote_spanned!(field.span()=> <#field as __bus::HoldsUnknown>::message_type);
    Some(quote!(Self::#ident(unknown) => #message_type(unknown),))
}
