//! Lifetimes in the types that variants hold. A message that is read from the database can only
//! have `'static` ones.

use proc_macro2::Span;
use quote::ToTokens;
use syn::{Data, DeriveInput, GenericArgument, Lifetime, PathArguments, Type, TypePath};

use crate::errors::Errors;

/// Reports all other lifetimes, and replaces them by `'static`, so that they cause no further
/// errors. The compiler reports undeclared lifetimes, too, but proposes to make the enum generic.
pub(super) fn make_static(input: &mut DeriveInput, errors: &mut Errors) {
    let Data::Enum(data) = &mut input.data else {
        return;
    };
    // The lifetimes of a generic enum are declared. Validation refuses that enum.
    if !input.generics.params.is_empty() {
        return;
    }
    for variant in &mut data.variants {
        for field in &mut variant.fields {
            match &mut field.ty {
                // Validation refuses the reference.
                Type::Reference(reference) => {
                    reference.lifetime = Some(Lifetime::new("'static", Span::call_site()));
                    in_type(&mut reference.elem, errors);
                }
                other => in_type(other, errors),
            }
        }
    }
}

fn in_type(written: &mut Type, errors: &mut Errors) {
    match written {
        Type::Array(array) => in_type(&mut array.elem, errors),
        Type::Group(group) => in_type(&mut group.elem, errors),
        Type::Paren(paren) => in_type(&mut paren.elem, errors),
        Type::Path(path) => in_path(path, errors),
        Type::Reference(reference) => {
            let and_token = reference.and_token;
            let lifetime = reference.lifetime.get_or_insert_with(|| {
                cannot_borrow(and_token, errors);
                Lifetime::new("'static", and_token.span)
            });
            in_lifetime(lifetime, errors);
            in_type(&mut reference.elem, errors);
        }
        Type::Slice(slice) => in_type(&mut slice.elem, errors),
        Type::Tuple(tuple) => tuple
            .elems
            .iter_mut()
            .for_each(|elem| in_type(elem, errors)),
        // Functions and trait objects declare lifetimes of their own.
        _ => {}
    }
}

fn in_path(path: &mut TypePath, errors: &mut Errors) {
    if let Some(qself) = &mut path.qself {
        in_type(&mut qself.ty, errors);
    }
    for segment in &mut path.path.segments {
        let PathArguments::AngleBracketed(arguments) = &mut segment.arguments else {
            continue;
        };
        for argument in &mut arguments.args {
            match argument {
                GenericArgument::Lifetime(lifetime) => in_lifetime(lifetime, errors),
                GenericArgument::Type(written) => in_type(written, errors),
                _ => {}
            }
        }
    }
}

fn in_lifetime(lifetime: &mut Lifetime, errors: &mut Errors) {
    if lifetime.ident != "static" {
        cannot_borrow(&*lifetime, errors);
        *lifetime = Lifetime::new("'static", lifetime.span());
    }
}

fn cannot_borrow(tokens: impl ToTokens, errors: &mut Errors) {
    errors.at(
        tokens,
        "a message is read back from the database, so it cannot borrow: write `'static`, or hold an owned type",
    );
}
