//! The derive of keys: a struct with one field has the key of that field.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Field, Index, Member, Path, Type};

use crate::attributes::crate_of_key;
use crate::errors::Errors;

pub(crate) fn expand(tokens: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let code = match syn::parse2(tokens) {
        Ok(input) => of_struct(&input, &mut errors),
        Err(error) => {
            errors.push(error);
            TokenStream::new()
        }
    };
    let errors = errors.to_compile_errors();
    quote!(#code #errors)
}

fn of_struct(input: &DeriveInput, errors: &mut Errors) -> TokenStream {
    let library = crate_of_key(&input.attrs, errors);
    let Some((member, field)) = only_field(input, errors) else {
        return TokenStream::new();
    };
    let library = library.map_or_else(
        || quote!(::persisting_message_bus),
        |path: Path| quote!(#path),
    );
    let ident = &input.ident;
    let (impl_generics, type_generics, where_clause) = input.generics.split_for_impl();
    let of = without_reference(&field.ty);
    let text = quote_spanned!(of.span()=> <#of as __bus::MessageKey>::key_text(&self.#member));
    quote! {
        const _: () = {
            use #library::__private as __bus;
            #[automatically_derived]
            impl #impl_generics __bus::MessageKey for #ident #type_generics #where_clause {
                fn key_text(&self) -> __bus::Text<'_> {
                    #text
                }
            }
        };
    }
}

fn only_field<'a>(input: &'a DeriveInput, errors: &mut Errors) -> Option<(Member, &'a Field)> {
    let Data::Struct(data) = &input.data else {
        errors.at(
            &input.ident,
            "`derive(MessageKey)` is for a struct with one field: implement `MessageKey` by hand",
        );
        return None;
    };
    let mut fields = data.fields.iter();
    match (fields.next(), fields.next()) {
        (Some(field), None) => {
            let member = field.ident.clone();
            Some((
                member.map_or(Member::Unnamed(Index::from(0)), Member::Named),
                field,
            ))
        }
        _ => {
            errors.at(
                &input.ident,
                "a key is one value, so `derive(MessageKey)` is for a struct with one field: implement \
                 `MessageKey` by hand for this one",
            );
            None
        }
    }
}

fn without_reference(of: &Type) -> &Type {
    match of {
        Type::Reference(reference) => without_reference(&reference.elem),
        other => other,
    }
}
