use syn::parse::{Parse, ParseStream};
use syn::{
    Expr, ExprPath, Ident, LitInt, LitStr, PathArguments, Token, Type, parenthesized, token,
};

use super::item::{error_at_next, version};
use crate::payload::plain;

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
    Json(ExprPath),
}

impl Parse for Previous {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if let Some(form) = without_number(input) {
            let fix =
                format!("the version is missing: write `1 = {form}` with the number that it had");
            return Err(error_at_next(input, fix));
        }
        let number = version(input)?;
        let fix = format!(
            "write `{number} = v{number}::...` with its struct, or `{number} = json(...)` with a function on its JSON"
        );
        if !input.peek(Token![=]) || input.peek(Token![=>]) {
            return Err(at_next_or(input, &number, &fix));
        }
        input.parse::<Token![=]>()?;
        if input.is_empty() || input.peek(Token![,]) {
            return Err(syn::Error::new(number.span(), fix));
        }
        let form = form(input)?;
        // The comma before the next version may be missing.
        if !input.is_empty() && !input.peek(Token![,]) && !input.peek(LitInt) {
            return Err(error_at_next(input, fix));
        }
        Ok(Self { number, form })
    }
}

/// Returns the form if it is not preceded by the number of its version.
fn without_number(input: ParseStream<'_>) -> Option<String> {
    let fork = input.fork();
    let form: Type = fork.parse().ok()?;
    let is_form = fork.is_empty() || fork.peek(Token![,]) || fork.peek(token::Paren);
    // `v1 = ...` is a wrong number.
    let arguments = if fork.peek(token::Paren) { "(...)" } else { "" };
    is_form.then(|| format!("{}{arguments}", plain(&form)))
}

fn form(input: ParseStream<'_>) -> syn::Result<Form> {
    if let Ok(text) = input.fork().parse::<LitStr>() {
        let fix = format!("write the struct's path without quotes: `{}`", text.value());
        return Err(error_at_next(input, fix));
    }
    let is_json = input
        .fork()
        .parse::<Ident>()
        .is_ok_and(|ident| ident == "json");
    if is_json && input.peek2(token::Paren) {
        input.parse::<Ident>()?;
        let function;
        parenthesized!(function in input);
        return function_path(&function).map(Form::Json);
    }
    let no_struct =
        "expected the path of a struct, such as `v1::OrderPlaced`, or `json(...)` with a function";
    let of: Type = input.parse().map_err(|_| error_at_next(input, no_struct))?;
    if is_another_json(&of) || input.peek(token::Paren) {
        return Err(syn::Error::new_spanned(
            of,
            "write `json(...)`, without a path before it",
        ));
    }
    Ok(Form::Struct(of))
}

/// Returns `true` for `module::json(upcast)`, which is the syntax of a type such as `Fn(A)`, and for
/// `json!(upcast)`.
fn is_another_json(of: &Type) -> bool {
    match of {
        Type::Path(path) => path
            .path
            .segments
            .last()
            .is_some_and(|last| matches!(last.arguments, PathArguments::Parenthesized(_))),
        Type::Macro(of) => of.mac.path.is_ident("json"),
        _ => false,
    }
}

fn function_path(input: ParseStream<'_>) -> syn::Result<ExprPath> {
    let fix = "write the path of one function: `json(upcast)`";
    if input.is_empty() {
        return Err(error_at_next(input, fix));
    }
    let expression: Expr = input.parse().map_err(|_| error_at_next(input, fix))?;
    input.parse::<Option<Token![,]>>()?;
    if !input.is_empty() {
        return Err(error_at_next(input, fix));
    }
    let path = path(&expression).cloned();
    path.ok_or_else(|| syn::Error::new_spanned(expression, fix))
}

/// Returns a path, without the invisible group of a macro around it.
fn path(expression: &Expr) -> Option<&ExprPath> {
    match expression {
        Expr::Path(path) => Some(path),
        Expr::Group(group) => path(&group.expr),
        Expr::Paren(paren) => path(&paren.expr),
        _ => None,
    }
}

fn at_next_or(input: ParseStream<'_>, number: &LitInt, message: &str) -> syn::Error {
    if input.is_empty() {
        syn::Error::new(number.span(), message)
    } else {
        error_at_next(input, message)
    }
}
