//! The versions of a message.

use std::collections::HashSet;

use syn::LitInt;

use crate::ast::{Variant, value};
use crate::attributes::Form;
use crate::errors::Errors;

/// Checks that each version from 1 to the current one is given exactly once.
pub(super) fn are_complete(variant: &Variant<'_>, errors: &mut Errors) {
    let attributes = &variant.attributes;
    if attributes.is_broken {
        return;
    }
    let Some(current) = &attributes.version else {
        if let Some(previous) = attributes.previous.first() {
            let message = "previous versions need the current one: add `version = ...`";
            errors.at(&previous.number, message);
        }
        return;
    };
    let current_value = value(current);
    if current_value == 0 {
        return errors.at(
            current,
            "versions begin at 1: write `version = 1`, or leave it out",
        );
    }
    let others = errors.count();
    let mut seen = HashSet::new();
    for previous in &attributes.previous {
        let number = previous.value();
        if number == 0 {
            errors.at(
                &previous.number,
                "versions begin at 1: number the oldest one 1",
            );
        } else if number >= current_value {
            let message = format!(
                "this is not before the current version: raise `version` to {}",
                number.saturating_add(1)
            );
            errors.at(&previous.number, message);
        } else if !seen.insert(number) {
            errors.at(
                &previous.number,
                format!("version {number} is given twice: keep one"),
            );
        }
    }
    if errors.count() == others {
        no_version_is_missing(variant, current, &seen, errors);
        structs_are_followed_by_structs(variant, errors);
    }
}

fn no_version_is_missing(
    variant: &Variant<'_>,
    current: &LitInt,
    seen: &HashSet<u32>,
    errors: &mut Errors,
) {
    if let Some(missing) = (1..value(current)).find(|version| !seen.contains(version)) {
        let ident = &variant.original.ident;
        errors.at(
            current,
            format!(
                "version {missing} is missing: add `{missing} = v{missing}::{ident}`, its struct, or \
                 `{missing} = json(...)`, a function on its JSON, to `previous(...)`"
            ),
        );
    }
}

/// Checks that the version after a struct is a struct, because `From` converts a struct into the
/// next one.
fn structs_are_followed_by_structs(variant: &Variant<'_>, errors: &mut Errors) {
    for previous in &variant.attributes.previous {
        let next = variant
            .attributes
            .previous
            .iter()
            .find(|next| next.value() == previous.value() + 1);
        if let (Form::Struct(tokens), Some(Form::Json(_))) = (&previous.form, next.map(|n| &n.form))
        {
            errors.at(
                tokens,
                "the next version is read as JSON, so this struct cannot be converted into it: write `json(...)` here, too",
            );
        }
    }
}
