//! The types that variants hold.

use quote::ToTokens;
use syn::{GenericArgument, Ident, PathArguments, Type};

/// Returns the message struct of a field: the type, or `M` if the field is a `Box<M>`.
pub(crate) fn message(field: &Type) -> &Type {
    in_box(field).map_or_else(|| bare(field), bare)
}

pub(crate) fn is_boxed(field: &Type) -> bool {
    in_box(field).is_some()
}

/// Returns `M` of std's `Box<M>`. A `Box` of something unsized is a payload itself, as a `Vec` is.
fn in_box(field: &Type) -> Option<&Type> {
    let boxed = any_in_box(field)?;
    (!is_unsized(boxed)).then_some(boxed)
}

/// Returns `true` if the type is a trait object in boxes.
pub(crate) fn is_boxed_trait_object(payload: &Type) -> bool {
    any_in_box(payload).is_some_and(|boxed| {
        matches!(bare(boxed), Type::TraitObject(_)) || is_boxed_trait_object(boxed)
    })
}

/// Returns `true` if no impl can be for the type, because it is not sized or not a type at all.
pub(crate) fn is_refused(payload: &Type) -> bool {
    is_unsized(payload) || is_refused_by_compiler(payload)
}

/// Returns `true` if the compiler always refuses a variant that holds this type.
pub(crate) fn is_refused_by_compiler(payload: &Type) -> bool {
    match payload {
        Type::ImplTrait(_)
        | Type::Infer(_)
        | Type::Never(_)
        | Type::Slice(_)
        | Type::TraitObject(_) => true,
        other => has_placeholder(other),
    }
}

/// Returns `true` if the type has a `_` or an `impl` in it, which a variant cannot have.
fn has_placeholder(written: &Type) -> bool {
    match written {
        Type::ImplTrait(_) | Type::Infer(_) => true,
        Type::Array(array) => has_placeholder(&array.elem),
        Type::Group(group) => has_placeholder(&group.elem),
        Type::Paren(paren) => has_placeholder(&paren.elem),
        Type::Reference(reference) => has_placeholder(&reference.elem),
        Type::Slice(slice) => has_placeholder(&slice.elem),
        Type::Tuple(tuple) => tuple.elems.iter().any(has_placeholder),
        Type::Path(path) => path.path.segments.iter().any(|segment| {
            let PathArguments::AngleBracketed(arguments) = &segment.arguments else {
                return false;
            };
            arguments.args.iter().any(|argument| {
                matches!(argument, GenericArgument::Type(argument) if has_placeholder(argument))
            })
        }),
        _ => false,
    }
}

/// Returns `T` of std's `Box<T>`. The path may begin elsewhere, because crates re-export `alloc`.
fn any_in_box(field: &Type) -> Option<&Type> {
    let Type::Path(path) = bare(field) else {
        return None;
    };
    let mut segments = path.path.segments.iter().rev();
    let last = segments.next()?;
    let is_std = segments.next().is_none_or(|module| module.ident == "boxed");
    let PathArguments::AngleBracketed(arguments) = &last.arguments else {
        return None;
    };
    match arguments.args.first() {
        Some(GenericArgument::Type(boxed)) if last.ident == "Box" && is_std => Some(boxed),
        _ => None,
    }
}

/// Returns `true` for types that are never sized. Other types can be aliases of such types.
pub(crate) fn is_unsized(written: &Type) -> bool {
    const UNSIZED: [&str; 5] = [
        "str",
        "core::ffi::CStr",
        "std::ffi::CStr",
        "std::ffi::OsStr",
        "std::path::Path",
    ];
    match bare(written) {
        Type::Slice(_) | Type::TraitObject(_) => true,
        Type::Path(path) => UNSIZED.contains(&plain(&path.path).trim_start_matches("::")),
        _ => false,
    }
}

/// Returns `true` if the type is written as the enum with this name. `super::Name` is another type.
pub(crate) fn is_enum(payload: &Type, name: &Ident) -> bool {
    let Type::Path(path) = payload else {
        return false;
    };
    let written = plain(&path.path);
    let prefixes = ["", "self::", "crate::"];
    prefixes
        .iter()
        .any(|prefix| written == format!("{prefix}{name}"))
}

/// Returns `true` if the type is written as a variant of this enum, which is not a type.
pub(crate) fn is_variant_of(payload: &Type, of: &impl ToTokens) -> bool {
    let Type::Path(path) = payload else {
        return false;
    };
    let last = path.path.segments.last().map(plain).unwrap_or_default();
    plain(payload) == format!("{}::{last}", plain(of))
}

/// Returns the path without the place where it begins: `Placed` for `crate::Placed`. Two paths that
/// differ only in that are the same, or hard to distinguish.
pub(crate) fn without_root(payload: &Type) -> String {
    let mut written = plain(payload);
    let roots = ["::", "self::", "super::", "crate::"];
    while let Some(rest) = roots.iter().find_map(|root| written.strip_prefix(root)) {
        written = rest.to_owned();
    }
    written
}

/// Returns the tokens as a user would write them.
pub(crate) fn plain(tokens: &impl ToTokens) -> String {
    tokens.to_token_stream().to_string().replace(' ', "")
}

/// Returns the type, with no parentheses and no invisible group of a macro around it.
fn bare(written: &Type) -> &Type {
    match written {
        Type::Group(group) => bare(&group.elem),
        Type::Paren(paren) => bare(&paren.elem),
        other => other,
    }
}
