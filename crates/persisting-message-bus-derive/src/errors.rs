use proc_macro2::TokenStream;
use quote::ToTokens;

/// All errors of one input, which are reported together.
#[derive(Default)]
pub(crate) struct Errors {
    own: Vec<syn::Error>,
    /// Whether the compiler reports a mistake by itself.
    compiler_reports: bool,
}

impl Errors {
    /// Adds an error at these tokens.
    pub(crate) fn at(&mut self, tokens: impl ToTokens, message: impl std::fmt::Display) {
        self.own.push(syn::Error::new_spanned(tokens, message));
    }

    pub(crate) fn push(&mut self, error: syn::Error) {
        self.own.push(error);
    }

    /// Notes a mistake that the compiler reports in the enum itself. A second error would not help.
    pub(crate) fn leave_to_compiler(&mut self) {
        self.compiler_reports = true;
    }

    pub(crate) fn count(&self) -> usize {
        self.own.len()
    }

    /// Returns `true` if neither this crate nor the compiler reports an error.
    pub(crate) fn is_empty(&self) -> bool {
        self.own.is_empty() && !self.compiler_reports
    }

    pub(crate) fn to_compile_errors(&self) -> TokenStream {
        self.own.iter().map(syn::Error::to_compile_error).collect()
    }
}
