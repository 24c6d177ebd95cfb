//! One item of an attribute, with the values that an item can have.

use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::{Ident, Lit, LitInt, LitStr, Path, Token, token};

/// One item, whose key has been read.
pub(super) struct Item<'a> {
    pub(super) key: Ident,
    pub(super) input: ParseStream<'a>,
}

impl Item<'_> {
    pub(super) fn is(&self, key: &str) -> bool {
        self.key == key
    }

    pub(super) fn error(&self, message: impl std::fmt::Display) -> syn::Error {
        syn::Error::new(self.key.span(), message)
    }

    /// Returns an error at the next token, or at the key if there is none.
    pub(super) fn error_at_value(&self, message: impl std::fmt::Display) -> syn::Error {
        if self.input.is_empty() {
            self.error(message)
        } else {
            error_at_next(self.input, message)
        }
    }

    /// Reads a name, such as a topic's.
    pub(super) fn text(&self) -> syn::Result<LitStr> {
        self.equals(&self.fix_of_text())?;
        if self.is_list() {
            return Err(self.error_at_value(self.fix_of_text()));
        }
        let no_text =
            "a name must be a text: write it in quotes. A constant or a macro cannot stand here";
        let text = self.input.parse();
        let text = text.map_err(|_| self.error_at_value(no_text))?;
        self.ends(no_text)?;
        Ok(text)
    }

    fn fix_of_text(&self) -> String {
        let key = &self.key;
        let can_be_repeated = !self.is("name");
        if can_be_repeated && self.is_list() {
            format!("write `{key} = \"...\"` once for each name")
        } else {
            format!("write `{key} = \"...\"`")
        }
    }

    fn is_list(&self) -> bool {
        self.input.peek(token::Bracket) || self.input.peek(token::Paren)
    }

    /// Reads the version of new messages.
    pub(super) fn version(&self) -> syn::Result<LitInt> {
        let fix = "write `version = 2`";
        self.equals(fix)?;
        let version = version(self.input)?;
        self.ends(&format!("a version must be one number: {fix}"))?;
        Ok(version)
    }

    /// Reads a path by `parse`. `example` is the whole item.
    pub(super) fn path(
        &self,
        parse: fn(ParseStream<'_>) -> syn::Result<Path>,
        example: &str,
    ) -> syn::Result<Path> {
        self.equals(&format!("write `{example}`"))?;
        if let Ok(text) = self.input.fork().parse::<LitStr>() {
            let path = text.value();
            let fix = format!("write the path without quotes: `{} = {path}`", self.key);
            return Err(self.error_at_value(fix));
        }
        let no_path = format!("expected a plain path, such as `{example}`");
        let path = parse(self.input).map_err(|_| self.error_at_value(&no_path))?;
        self.ends(&no_path)?;
        Ok(path)
    }

    /// Checks that an item without a value ends.
    pub(super) fn stands_alone(&self) -> syn::Result<()> {
        let key = &self.key;
        self.ends(&format!("`{key}` has no value: write only `{key}`"))
    }

    pub(super) fn equals(&self, fix: &str) -> syn::Result<()> {
        if self.input.peek(Token![=]) && !self.input.peek(Token![=>]) {
            self.input.parse::<Token![=]>()?;
            return Ok(());
        }
        Err(self.error(fix))
    }

    /// Checks that the item ends. A word after it is the next item, whose comma is missing.
    pub(super) fn ends(&self, message: &str) -> syn::Result<()> {
        let is_next = self.input.peek(Ident::peek_any);
        if self.input.is_empty() || self.input.peek(Token![,]) || is_next {
            Ok(())
        } else {
            Err(error_at_next(self.input, message))
        }
    }

    pub(super) fn set_once<T>(&self, slot: &mut Option<T>, value: T) -> syn::Result<()> {
        match slot.replace(value) {
            None => Ok(()),
            Some(_) => Err(self.error(format!("`{}` is given twice: keep one", self.key))),
        }
    }
}

/// Reads the number of a version.
pub(super) fn version(input: ParseStream<'_>) -> syn::Result<LitInt> {
    let span = input.span();
    let error = |message: &str| syn::Error::new(span, message);
    if input
        .fork()
        .parse::<Lit>()
        .is_ok_and(|lit| matches!(lit, Lit::Int(_)))
    {
        let number: LitInt = input.parse()?;
        return match number.base10_parse::<u32>() {
            Ok(_) => Ok(number),
            Err(_) => Err(error(&format!(
                "a version must be a number from 1 to {}",
                u32::MAX
            ))),
        };
    }
    Err(error(
        "a version must be a number from 1: write it without quotes",
    ))
}

/// Returns an error at the next token. `ParseBuffer::error` would add a sentence at the end.
pub(super) fn error_at_next(input: ParseStream<'_>, message: impl std::fmt::Display) -> syn::Error {
    syn::Error::new(input.span(), message)
}
