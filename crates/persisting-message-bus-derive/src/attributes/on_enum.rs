use syn::{Attribute, LitStr, Path};

use super::item::Item;
use super::key::TopicKey;
use super::list::for_each;
use crate::errors::Errors;
use crate::kind::Kind;

/// The attributes on the enum.
#[derive(Default)]
pub(crate) struct EnumAttributes {
    /// `name = "orders"`, of a topic.
    pub(crate) name: Option<LitStr>,
    /// `retired = "CouponUsed"`, of a topic.
    pub(crate) retired: Vec<LitStr>,
    /// `key = order_id`, of a topic.
    pub(crate) key: Option<TopicKey>,
    /// `topic = Orders`, of an event set.
    pub(crate) topic: Option<Path>,
    /// `crate = path`.
    pub(crate) crate_path: Option<Path>,
}

impl EnumAttributes {
    pub(crate) fn parse(attributes: &[Attribute], kind: Kind, errors: &mut Errors) -> Self {
        let mut parsed = Self::default();
        let expected = match kind {
            Kind::Topic => "`name = \"...\"`, `key = ...`, `retired = \"...\"` or `crate = ...`",
            Kind::EventSet => "`topic = ...` or `crate = ...`",
        };
        for_each(attributes, kind.helper(), expected, errors, |item| {
            parsed.set(item, kind, expected)
        });
        parsed
    }

    fn set(&mut self, item: &Item<'_>, kind: Kind, expected: &str) -> syn::Result<()> {
        match kind {
            _ if item.is("crate") => item.set_once(&mut self.crate_path, crate_path(item)?),
            Kind::Topic if item.is("name") => item.set_once(&mut self.name, item.text()?),
            Kind::Topic if item.is("retired") => {
                self.retired.push(item.text()?);
                Ok(())
            }
            Kind::Topic if item.is("key") => item.set_once(&mut self.key, TopicKey::parse(item)?),
            Kind::EventSet if item.is("key") => {
                Err(item.error("the key belongs to the topic: move this to `#[topic(...)]` there"))
            }
            Kind::EventSet if item.is("topic") => item.set_once(&mut self.topic, topic(item)?),
            _ => Err(item.error(format!("expected {expected}"))),
        }
    }
}

/// Reads the topic of an event set, or of one of its messages.
pub(super) fn topic(item: &Item<'_>) -> syn::Result<Path> {
    item.path(|input| input.parse(), "topic = Orders")
}

fn crate_path(item: &Item<'_>) -> syn::Result<Path> {
    item.path(
        Path::parse_mod_style,
        "crate = path::to::persisting_message_bus",
    )
}

/// Returns the path of the library in the attribute of `derive(MessageKey)`.
pub(crate) fn crate_of_key(attributes: &[Attribute], errors: &mut Errors) -> Option<Path> {
    let expected = "`crate = ...`";
    let mut path = None;
    for_each(attributes, "message_key", expected, errors, |item| {
        if item.is("crate") {
            item.set_once(&mut path, crate_path(item)?)
        } else {
            Err(item.error(format!("expected {expected}")))
        }
    });
    path
}
