//! Scopes from which no names leak, and in which the compiler warns of deprecated items as it does
//! in the user's code.

use proc_macro2::TokenStream;
use quote::quote;
use syn::punctuated::Punctuated;
use syn::{Attribute, Path, Token};

use crate::ast::{MessageEnum, Variant};

/// The impls of one enum.
pub(super) struct Scope {
    library: TokenStream,
    /// Whether the enum allows deprecated items.
    enum_allows: bool,
    /// Whether a variant allows them.
    variant_allows: bool,
    allowed: Block,
    linted: Block,
}

#[derive(Default)]
struct Block {
    /// The aliases of the message structs.
    aliases: TokenStream,
    code: TokenStream,
}

impl Scope {
    pub(super) fn new(input: &MessageEnum<'_>) -> Self {
        let mut variants = input.variants.iter().flatten();
        let mut scope = Self {
            library: library(input.attributes.crate_path.as_ref()),
            enum_allows: allows_deprecated(&input.original.attrs),
            variant_allows: variants.any(|variant| allows_deprecated(&variant.original.attrs)),
            allowed: Block::default(),
            linted: Block::default(),
        };
        // The types of a generic enum may be its parameters.
        let is_generic = !input.original.generics.params.is_empty();
        let messages = input
            .messages()
            .filter(|message| !is_generic && !input.is_refused(message));
        for message in messages {
            let alias = message.definition();
            if !scope.allows_in(message.variant) {
                scope.linted.aliases.extend(alias.clone());
            }
            scope.allowed.aliases.extend(alias);
        }
        let unknown = input.unknown().map(|unknown| unknown.definition);
        scope.linted.aliases.extend(unknown.clone());
        scope.allowed.aliases.extend(unknown);
        scope
    }

    /// Adds code that names the types of all variants. If one of them is deprecated, the compiler
    /// warns of its variant.
    pub(super) fn add(&mut self, code: TokenStream) {
        self.block(self.enum_allows || self.variant_allows)
            .code
            .extend(code);
    }

    /// Adds code of one variant.
    pub(super) fn add_for(&mut self, variant: &Variant<'_>, code: TokenStream) {
        self.block(self.allows_in(variant)).code.extend(code);
    }

    /// Adds code that names only the enum's topics.
    pub(super) fn add_for_enum(&mut self, code: TokenStream) {
        self.block(self.enum_allows).code.extend(code);
    }

    pub(super) fn into_tokens(self) -> TokenStream {
        let library = self.library;
        let allowed = self
            .allowed
            .into_tokens(&library, &quote!(#[allow(deprecated)]));
        let linted = self.linted.into_tokens(&library, &TokenStream::new());
        quote!(#allowed #linted)
    }

    fn allows_in(&self, variant: &Variant<'_>) -> bool {
        self.enum_allows || allows_deprecated(&variant.original.attrs)
    }

    fn block(&mut self, allows: bool) -> &mut Block {
        if allows {
            &mut self.allowed
        } else {
            &mut self.linted
        }
    }
}

impl Block {
    fn into_tokens(self, library: &TokenStream, attribute: &TokenStream) -> TokenStream {
        let Self { aliases, code } = self;
        if code.is_empty() {
            return TokenStream::new();
        }
        quote! {
            #attribute
            const _: () = {
                use #library::__private as __bus;
                type __Same<T> = T;
                #aliases
                #code
            };
        }
    }
}

/// Returns `true` if the user allows deprecated items there. An `allow` of the derive's own would
/// not compile under `forbid(deprecated)`.
fn allows_deprecated(attributes: &[Attribute]) -> bool {
    let levels = ["allow", "expect"];
    attributes
        .iter()
        .filter(|attribute| levels.iter().any(|level| attribute.path().is_ident(level)))
        .filter_map(|attribute| {
            let lints = Punctuated::<syn::Meta, Token![,]>::parse_terminated;
            attribute.parse_args_with(lints).ok()
        })
        .flatten()
        .any(|lint| lint.path().is_ident("deprecated") || lint.path().is_ident("warnings"))
}

fn library(path: Option<&Path>) -> TokenStream {
    if let Some(path) = path {
        quote!(#path)
    } else {
        quote!(::persisting_message_bus)
    }
}
