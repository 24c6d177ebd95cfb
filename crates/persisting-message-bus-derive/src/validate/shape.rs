//! The shape of the enum: variants that hold one message each.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{Data, Fields};

use crate::ast::{MessageEnum, Variant};
use crate::errors::Errors;

pub(super) fn is_enum_of_messages(input: &MessageEnum<'_>, errors: &mut Errors) {
    let original = input.original;
    let what = input.kind.noun();
    let Some(variants) = &input.variants else {
        let keyword: TokenStream = match &original.data {
            Data::Struct(data) => data.struct_token.to_token_stream(),
            Data::Union(data) => data.union_token.to_token_stream(),
            Data::Enum(data) => data.enum_token.to_token_stream(),
        };
        let what = input.kind.noun_with_article();
        let message = format!("{what} is an enum with one variant for each message struct");
        return errors.at(keyword, message);
    };
    if !original.generics.params.is_empty() {
        errors.at(
            &original.generics,
            format!("the {what} cannot be generic: each stored message must belong to one type"),
        );
    }
    let is_broken = variants.iter().any(|variant| variant.attributes.is_broken);
    if !is_broken && variants.iter().all(Variant::is_unknown) {
        errors.at(
            &original.ident,
            format!("the {what} has no messages: add a variant such as `OrderPlaced(OrderPlaced)`"),
        );
    }
    for variant in variants.iter().filter(|variant| variant.field.is_none()) {
        holds_one_message(variant, errors);
    }
    let unknown = variants.iter().filter(|variant| variant.is_unknown());
    for second in unknown.skip(1) {
        errors.at(
            &second.attributes.unknown,
            "there is already a variant for unknown messages: keep one",
        );
    }
}

fn holds_one_message(variant: &Variant<'_>, errors: &mut Errors) {
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
        without_attributes(variant),
        format!("a variant holds one message struct, but this one {shape}: write {right}"),
    );
}

/// Returns the variant as an error shows it.
fn without_attributes(variant: &Variant<'_>) -> TokenStream {
    let ident = &variant.original.ident;
    let fields = &variant.original.fields;
    quote!(#ident #fields)
}
