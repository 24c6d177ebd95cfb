//! Reads an enum whose syntax is broken, so that the code that uses it has no further errors.
//!
//! The compiler parses the enum before it calls a derive, and has reported the mistake. If it knows
//! a syntax that `syn` does not, the stub for the enum ends the build.

use proc_macro2::{TokenStream, TokenTree};
use quote::quote;
use syn::parse::discouraged::Speculative;
use syn::parse::{ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Attribute, Data, DataEnum, DeriveInput, Generics, Token, Variant, braced};

/// Returns the enum with the variants that can be read.
///
/// # Errors
///
/// If it has no readable head, such as `pub enum Orders`.
pub(super) fn recover(tokens: TokenStream) -> syn::Result<DeriveInput> {
    the_enum.parse2(tokens)
}

fn the_enum(input: ParseStream<'_>) -> syn::Result<DeriveInput> {
    let attrs = input.call(Attribute::parse_outer)?;
    let vis = input.parse()?;
    let enum_token = input.parse()?;
    let ident = input.parse()?;
    let mut generics: Generics = input.parse()?;
    generics.where_clause = input.parse()?;
    let content;
    let brace_token = braced!(content in input);
    let mut variants = Punctuated::new();
    while !content.is_empty() {
        let tokens = until_comma(&content)?;
        // A discriminant may be missing.
        match syn::parse2::<Variant>(quote!(#tokens 0)) {
            Ok(variant) => variants.push(variant),
            Err(_) => variants.extend(sequence.parse2(tokens)?),
        }
    }
    Ok(DeriveInput {
        attrs,
        vis,
        ident,
        generics,
        data: Data::Enum(DataEnum {
            enum_token,
            brace_token,
            variants,
        }),
    })
}

fn until_comma(input: ParseStream<'_>) -> syn::Result<TokenStream> {
    let mut tokens = TokenStream::new();
    while !input.is_empty() && input.parse::<Option<Token![,]>>()?.is_none() {
        tokens.extend([input.parse::<TokenTree>()?]);
    }
    Ok(tokens)
}

/// Returns the variant at the beginning, and those after it whose comma is missing.
fn sequence(input: ParseStream<'_>) -> syn::Result<Vec<Variant>> {
    let mut variants = Vec::new();
    while !input.is_empty() {
        let fork = input.fork();
        if let Ok(variant) = fork.parse() {
            input.advance_to(&fork);
            variants.push(variant);
        } else if variants.is_empty() {
            input.parse::<TokenStream>()?;
        } else {
            input.parse::<TokenTree>()?;
        }
    }
    Ok(variants)
}

#[cfg(test)]
mod tests {
    use syn::{Data, Fields};

    use super::*;

    /// Returns the names of the variants that hold something. The tokens of a slip are no syntax
    /// of `quote`, so the enum is a text.
    fn variants(body: &str) -> Vec<String> {
        let tokens = format!("#[topic(name = \"orders\")] pub enum Orders {{ {body} }}");
        let Ok(input) = recover(tokens.parse().unwrap_or_default()) else {
            return Vec::new();
        };
        let Data::Enum(data) = input.data else {
            return Vec::new();
        };
        let variants = data.variants.into_iter();
        variants
            .filter(|variant| !matches!(variant.fields, Fields::Unit))
            .map(|variant| variant.ident.to_string())
            .collect()
    }

    #[test]
    fn variants_around_a_slip_are_read() {
        for slip in [
            "A(A), B(&), C(C)",
            "A(A), B(m::), C(C)",
            "A(A), B { b: }, C(C)",
            "A(A), B(Vec<B), C(C)",
            "A(A),, C(C)",
            "A(A) C(C)",
            "A(A); C(C);",
            "A(A), (B), C(C)",
            "A(A), fn b() {}, C(C)",
            "A(A), C(C), #[message(name = \"b\")]",
            "A(A) = , C(C) = 1",
            "A(A), B: B, C(C)",
        ] {
            assert_eq!(variants(slip), ["A", "C"], "{slip}");
        }
    }

    #[test]
    fn a_struct_is_not_read() {
        assert!(recover(quote!(struct Orders { a: })).is_err());
    }
}
