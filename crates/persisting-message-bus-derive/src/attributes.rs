//! Parses `#[topic(...)]`, `#[event_set(...)]` and `#[message(...)]`.

use syn::meta::ParseNestedMeta;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Attribute, Ident, LitInt, LitStr, Path, Token, Type, parenthesized, token};

use crate::errors::Errors;

/// The attributes on the enum.
#[derive(Default)]
pub(crate) struct EnumAttributes {
    /// `name = "orders"`, of a topic.
    pub(crate) name: Option<LitStr>,
    /// `retired = "CouponUsed"`, of a topic.
    pub(crate) retired: Vec<LitStr>,
    /// `topic = Orders`, of an event set.
    pub(crate) topic: Option<Path>,
    /// `crate = path`.
    pub(crate) crate_path: Option<Path>,
}

/// The attributes on a variant.
#[derive(Default)]
pub(crate) struct MessageAttributes {
    /// The first `#[message(...)]`, for errors that point at it.
    pub(crate) first: Option<Attribute>,
    pub(crate) name: Option<LitStr>,
    pub(crate) aliases: Vec<LitStr>,
    pub(crate) version: Option<LitInt>,
    pub(crate) previous: Vec<Previous>,
    /// `unknown`.
    pub(crate) unknown: Option<Path>,
    /// `#[event_set(topic = Payments)]`.
    pub(crate) topic: Option<Path>,
    /// Whether a part of it could not be read. The error was reported.
    pub(crate) is_broken: bool,
}

/// `1 = v1::OrderPlaced` or `1 = json(upcast)`: the form of a previous version, or its conversion
/// into the next one.
pub(crate) struct Previous {
    pub(crate) number: LitInt,
    pub(crate) form: Form,
}

/// The form in which a previous version is read.
pub(crate) enum Form {
    /// The version is read as this struct, which `From` converts into the next version.
    Struct(Type),
    /// The version is read as JSON, which this function converts into the JSON of the next version.
    Json(Path),
}

impl EnumAttributes {
    pub(crate) fn parse(attributes: &[Attribute], helper: &str, errors: &mut Errors) -> Self {
        let mut parsed = Self::default();
        for_each(attributes, helper, errors, |meta| match helper {
            _ if meta.path.is_ident("crate") => {
                let path = meta.value()?;
                let span = path.span();
                let no_path = |_| syn::Error::new(span, "expected a path, without quotes");
                let path = path.call(Path::parse_mod_style).map_err(no_path)?;
                set_once(&mut parsed.crate_path, path, meta)
            }
            "topic" if meta.path.is_ident("name") => set_once(&mut parsed.name, text(meta)?, meta),
            "topic" if meta.path.is_ident("retired") => {
                if meta.input.peek(token::Paren) {
                    let fix = "write `retired = \"...\"` once for each message type";
                    return Err(meta.error(fix));
                }
                parsed.retired.push(text(meta)?);
                Ok(())
            }
            "event_set" if meta.path.is_ident("topic") => {
                set_once(&mut parsed.topic, meta.value()?.parse()?, meta)
            }
            "topic" => {
                Err(meta.error("expected `name = \"...\"`, `retired = \"...\"` or `crate = ...`"))
            }
            _ => Err(meta.error("expected `topic = ...` or `crate = ...`")),
        });
        parsed
    }
}

impl MessageAttributes {
    pub(crate) fn parse(attributes: &[Attribute], errors: &mut Errors) -> Self {
        let of_message = attributes.iter().find(|a| a.path().is_ident("message"));
        let mut parsed = Self {
            first: of_message.cloned(),
            ..Self::default()
        };
        let others = errors.count();
        for_each(attributes, "message", errors, |meta| parsed.set(meta));
        parsed.is_broken = errors.count() > others;
        for_each(attributes, "event_set", errors, |meta| {
            if meta.path.is_ident("topic") {
                set_once(&mut parsed.topic, meta.value()?.parse()?, meta)
            } else {
                Err(meta.error("expected `topic = ...`"))
            }
        });
        parsed
    }

    fn set(&mut self, meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
        if meta.path.is_ident("name") {
            set_once(&mut self.name, text(meta)?, meta)
        } else if meta.path.is_ident("alias") {
            self.aliases.push(text(meta)?);
            Ok(())
        } else if meta.path.is_ident("version") {
            set_once(&mut self.version, number(meta.value()?)?, meta)
        } else if meta.path.is_ident("previous") {
            let versions;
            parenthesized!(versions in meta.input);
            let versions = Punctuated::<_, Token![,]>::parse_terminated(&versions)?;
            self.previous.extend(versions);
            Ok(())
        } else if meta.path.is_ident("unknown") {
            set_once(&mut self.unknown, meta.path.clone(), meta)
        } else {
            Err(meta.error(
                "expected `name = \"...\"`, `alias = \"...\"`, `version = ...`, `previous(...)` or `unknown`",
            ))
        }
    }
}

impl Parse for Previous {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let number = number(input)?;
        input.parse::<Token![=]>()?;
        let is_json = input
            .fork()
            .parse::<Ident>()
            .is_ok_and(|ident| ident == "json");
        let form = if is_json && input.peek2(token::Paren) {
            input.parse::<Ident>()?;
            let function;
            parenthesized!(function in input);
            Form::Json(function.parse()?)
        } else {
            Form::Struct(input.parse()?)
        };
        Ok(Self { number, form })
    }
}

fn for_each(
    attributes: &[Attribute],
    name: &str,
    errors: &mut Errors,
    mut set: impl FnMut(&ParseNestedMeta<'_>) -> syn::Result<()>,
) {
    for attribute in attributes.iter().filter(|a| a.path().is_ident(name)) {
        if let Err(error) = attribute.parse_nested_meta(|meta| set(&meta)) {
            errors.push(error);
        }
    }
}

fn text(meta: &ParseNestedMeta<'_>) -> syn::Result<LitStr> {
    let value = meta.value()?;
    let span = value.span();
    let no_text = |_| syn::Error::new(span, "a name must be a text: write it in quotes");
    value.parse().map_err(no_text)
}

fn number(input: ParseStream<'_>) -> syn::Result<LitInt> {
    let span = input.span();
    let no_number = |_| {
        syn::Error::new(
            span,
            "a version must be a number from 1: write it without quotes",
        )
    };
    let number: LitInt = input.parse().map_err(no_number)?;
    match number.base10_parse::<u32>() {
        Ok(_) => Ok(number),
        Err(_) => Err(syn::Error::new(
            number.span(),
            format!("a version must be a number from 1 to {}", u32::MAX),
        )),
    }
}

fn set_once<T>(slot: &mut Option<T>, value: T, meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(meta.error("is given twice: keep one")),
    }
}
