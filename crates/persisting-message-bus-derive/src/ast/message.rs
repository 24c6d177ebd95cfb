use proc_macro2::TokenStream;
use syn::{Ident, LitInt, LitStr, Type};

use super::variant::Variant;
use crate::attributes::{Form, Previous};
use crate::payload;

/// The variant for unknown messages.
pub(crate) struct Unknown<'a> {
    pub(crate) ident: &'a Ident,
    /// The name of the variant's type in the generated code.
    pub(crate) alias: Ident,
    /// The definition of the alias.
    pub(crate) definition: TokenStream,
}

/// A variant that holds a message.
#[derive(Clone)]
pub(crate) struct Message<'a> {
    pub(crate) variant: &'a Variant<'a>,
    pub(crate) ident: &'a Ident,
    /// The message struct, taken out of its `Box` if it is in one.
    pub(crate) payload: &'a Type,
    /// The name of the message struct in the generated code.
    pub(crate) alias: Ident,
}

impl<'a> Message<'a> {
    /// Returns the message type under which the message is stored.
    pub(crate) fn name(&self) -> String {
        self.variant.name()
    }

    /// Returns the definition of the alias.
    pub(crate) fn definition(&self) -> TokenStream {
        self.variant.alias.definition(self.payload, self.is_boxed())
    }

    pub(crate) fn is_boxed(&self) -> bool {
        self.variant.field.is_some_and(payload::is_boxed)
    }

    /// Returns the message types under which the message was stored before.
    pub(crate) fn aliases(&self) -> Vec<String> {
        let aliases = &self.variant.attributes.aliases;
        aliases.iter().map(LitStr::value).collect()
    }

    /// Returns the version of new messages.
    pub(crate) fn version(&self) -> u32 {
        self.variant.attributes.version.as_ref().map_or(1, value)
    }

    /// Returns the forms of the previous versions, in ascending order of the versions.
    pub(crate) fn previous(&self) -> Vec<(u32, &'a Form)> {
        let previous = self.variant.attributes.previous.iter();
        let mut previous: Vec<_> = previous.map(|p| (p.value(), &p.form)).collect();
        previous.sort_by_key(|(version, _)| *version);
        previous
    }
}

impl Previous {
    pub(crate) fn value(&self) -> u32 {
        value(&self.number)
    }
}

/// Returns the value of a number. Parsing has checked that it is one.
pub(crate) fn value(number: &LitInt) -> u32 {
    number.base10_parse().unwrap_or(0)
}
