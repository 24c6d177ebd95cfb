use syn::punctuated::Punctuated;
use syn::{Attribute, Ident, LitInt, LitStr, Path, Token, parenthesized, token};

use super::item::Item;
use super::key::Key;
use super::list::for_each;
use super::on_enum::topic;
use super::previous::Previous;
use crate::errors::Errors;
use crate::kind::Kind;

const EXPECTED: &str = "`name = \"...\"`, `alias = \"...\"`, `version = ...`, `previous(...)`, `key = ...` or `unknown`";

/// The attributes on a variant.
#[derive(Default)]
pub(crate) struct MessageAttributes {
    /// The first `#[message(...)]`, for errors that point at it.
    pub(crate) first: Option<Attribute>,
    pub(crate) name: Option<LitStr>,
    pub(crate) aliases: Vec<LitStr>,
    pub(crate) version: Option<LitInt>,
    pub(crate) previous: Vec<Previous>,
    /// `key = order_id`.
    pub(crate) key: Option<Key>,
    /// `unknown`.
    pub(crate) unknown: Option<Ident>,
    /// `#[event_set(topic = Payments)]`, in an event set.
    pub(crate) topic: Option<Path>,
    /// Whether a part of it could not be read. The error was reported.
    pub(crate) is_broken: bool,
}

impl MessageAttributes {
    pub(crate) fn parse(attributes: &[Attribute], kind: Kind, errors: &mut Errors) -> Self {
        let of_message = attributes.iter().find(|a| a.path().is_ident("message"));
        let mut parsed = Self {
            first: of_message.cloned(),
            ..Self::default()
        };
        let others = errors.count();
        for_each(attributes, "message", EXPECTED, errors, |item| {
            parsed.set(item)
        });
        parsed.is_broken = errors.count() > others;
        if kind == Kind::EventSet {
            for_each(attributes, "event_set", "`topic = ...`", errors, |item| {
                if item.is("topic") {
                    item.set_once(&mut parsed.topic, topic(item)?)
                } else {
                    Err(item.error("expected `topic = ...`"))
                }
            });
        }
        parsed
    }

    fn set(&mut self, item: &Item<'_>) -> syn::Result<()> {
        if item.is("name") {
            item.set_once(&mut self.name, item.text()?)
        } else if item.is("alias") {
            self.aliases.push(item.text()?);
            Ok(())
        } else if item.is("version") {
            item.set_once(&mut self.version, item.version()?)
        } else if item.is("previous") {
            if !item.input.peek(token::Paren) {
                return Err(item.error("write `previous(1 = v1::...)`"));
            }
            let versions;
            parenthesized!(versions in item.input);
            let versions = Punctuated::<_, Token![,]>::parse_terminated(&versions)?;
            self.previous.extend(versions);
            Ok(())
        } else if item.is("key") {
            item.set_once(&mut self.key, Key::parse(item)?)
        } else if item.is("unknown") {
            item.set_once(&mut self.unknown, item.key.clone())?;
            item.stands_alone()
        } else {
            Err(item.error(format!("expected {EXPECTED}")))
        }
    }
}
