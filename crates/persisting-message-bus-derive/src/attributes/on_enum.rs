use syn::{Attribute, LitStr, Path};

use super::item::Item;
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
    /// `topic = Orders`, of an event set.
    pub(crate) topic: Option<Path>,
    /// `crate = path`.
    pub(crate) crate_path: Option<Path>,
}

impl EnumAttributes {
    pub(crate) fn parse(attributes: &[Attribute], kind: Kind, errors: &mut Errors) -> Self {
        let mut parsed = Self::default();
        let expected = match kind {
            Kind::Topic => "`name = \"...\"`, `retired = \"...\"` or `crate = ...`",
            Kind::EventSet => "`topic = ...` or `crate = ...`",
        };
        for_each(attributes, kind.helper(), expected, errors, |item| {
            parsed.set(item, kind, expected)
        });
        parsed
    }

    fn set(&mut self, item: &Item<'_>, kind: Kind, expected: &str) -> syn::Result<()> {
        match kind {
            _ if item.is("crate") => {
                let example = "crate = path::to::persisting_message_bus";
                let path = item.path(Path::parse_mod_style, example)?;
                item.set_once(&mut self.crate_path, path)
            }
            Kind::Topic if item.is("name") => item.set_once(&mut self.name, item.text()?),
            Kind::Topic if item.is("retired") => {
                self.retired.push(item.text()?);
                Ok(())
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
