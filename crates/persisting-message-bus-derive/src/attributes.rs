//! `#[topic(...)]`, `#[event_set(...)]` and `#[message(...)]`.

use syn::meta::ParseNestedMeta;
use syn::{Attribute, LitStr, Path};

use crate::errors::Errors;

/// What stands on the enum.
#[derive(Default)]
pub(crate) struct EnumAttributes {
    /// `name = "orders"`, of a topic.
    pub(crate) name: Option<LitStr>,
    /// `topic = Orders`, of an event set.
    pub(crate) topic: Option<Path>,
    /// `crate = path`.
    pub(crate) library: Option<Path>,
}

/// What stands on a variant.
#[derive(Default)]
pub(crate) struct MessageAttributes {
    /// The first one, to point at.
    pub(crate) first: Option<Attribute>,
    pub(crate) name: Option<LitStr>,
    pub(crate) aliases: Vec<LitStr>,
}

impl EnumAttributes {
    pub(crate) fn parse(attributes: &[Attribute], helper: &str, errors: &mut Errors) -> Self {
        let mut parsed = Self::default();
        for attribute in attributes.iter().filter(|a| a.path().is_ident(helper)) {
            let result = attribute.parse_nested_meta(|meta| match helper {
                _ if meta.path.is_ident("crate") => {
                    let path = meta.value()?.call(Path::parse_mod_style)?;
                    set_once(&mut parsed.library, path, &meta)
                }
                "topic" if meta.path.is_ident("name") => {
                    set_once(&mut parsed.name, name(&meta)?, &meta)
                }
                "event_set" if meta.path.is_ident("topic") => {
                    let topic = meta.value()?.parse()?;
                    set_once(&mut parsed.topic, topic, &meta)
                }
                "topic" => Err(meta.error("expected `name = \"...\"` or `crate = ...`")),
                _ => Err(meta.error("expected `topic = ...` or `crate = ...`")),
            });
            if let Err(error) = result {
                errors.push(error);
            }
        }
        parsed
    }
}

impl MessageAttributes {
    pub(crate) fn parse(attributes: &[Attribute], errors: &mut Errors) -> Self {
        let mut parsed = Self::default();
        for attribute in attributes.iter().filter(|a| a.path().is_ident("message")) {
            parsed.first.get_or_insert_with(|| attribute.clone());
            let result = attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("name") {
                    set_once(&mut parsed.name, name(&meta)?, &meta)
                } else if meta.path.is_ident("alias") {
                    parsed.aliases.push(name(&meta)?);
                    Ok(())
                } else {
                    Err(meta.error("expected `name = \"...\"` or `alias = \"...\"`"))
                }
            });
            if let Err(error) = result {
                errors.push(error);
            }
        }
        parsed
    }
}

fn name(meta: &ParseNestedMeta<'_>) -> syn::Result<LitStr> {
    let value = meta.value()?;
    let no_text = |_| value.error("a name is a text: write it in quotes");
    value.parse().map_err(no_text)
}

fn set_once<T>(slot: &mut Option<T>, value: T, meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(meta.error("is there twice: leave one")),
    }
}
