//! JSON values, compared regardless of serde_json's features. Any crate of the build can turn these
//! on: `preserve_order` changes the order of fields, and `arbitrary_precision` keeps numbers as text.

use serde_json::{Number, Value};

/// From here on, serde_json keeps an integer as a float, unless it keeps numbers as text.
const BEYOND_INTEGERS: f64 = 9.2e18;

/// Returns `true` if both are the same, in whichever order the fields of objects are.
pub(super) fn are_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Object(fields), Value::Object(others)) => {
            let is_in_both =
                |(name, field)| others.get(name).is_some_and(|other| are_same(field, other));
            fields.len() == others.len() && fields.iter().all(is_in_both)
        }
        (Value::Array(values), Value::Array(others)) => {
            let mut pairs = values.iter().zip(others);
            values.len() == others.len() && pairs.all(|(value, other)| are_same(value, other))
        }
        (Value::Number(number), Value::Number(other)) => are_same_number(number, other),
        _ => one == other,
    }
}

/// Returns `true` if `again` contains everything in `value`. A null can be missing.
pub(super) fn keeps(value: &Value, again: &Value) -> bool {
    match (value, again) {
        (Value::Object(fields), Value::Object(again)) => fields
            .iter()
            .all(|(name, field)| keeps(field, again.get(name).unwrap_or(&Value::Null))),
        (Value::Array(values), Value::Array(again)) => {
            let mut pairs = values.iter().zip(again);
            values.len() == again.len() && pairs.all(|(value, again)| keeps(value, again))
        }
        (value, again) => are_same(value, again),
    }
}

/// An integer and a float differ, because a struct that reads one need not read the other.
fn are_same_number(one: &Number, other: &Number) -> bool {
    match (integer(one), integer(other)) {
        (Some(one), Some(other)) => one == other,
        (None, None) => one.as_f64() == other.as_f64(),
        _ => {
            let is_large = |number: f64| number.abs() > BEYOND_INTEGERS;
            one.as_f64() == other.as_f64() && one.as_f64().is_some_and(is_large)
        }
    }
}

/// Returns the sign and the size of an integer.
fn integer(number: &Number) -> Option<(bool, u128)> {
    let negative = || {
        let number = number.as_i128()?;
        Some((number < 0, number.unsigned_abs()))
    };
    number.as_u128().map(|size| (false, size)).or_else(negative)
}

/// `./test --all` runs these also with the features of serde_json that the module names.
#[cfg(test)]
mod tests {
    use super::*;

    fn value(json: &str) -> Value {
        serde_json::from_str(json).unwrap_or_else(|error| panic!("{error} in {json}"))
    }

    #[test]
    fn values_are_the_same_in_any_order_of_fields() {
        let one = value(r#"{"b":{"y":1,"x":[2,3]},"a":null}"#);
        let other = value(r#"{"a":null,"b":{"x":[2,3],"y":1}}"#);
        assert!(are_same(&one, &other) && keeps(&one, &other));
        for different in [
            r#"{"a":null,"b":{"x":[3,2],"y":1}}"#,
            r#"{"a":null,"b":{"x":[2,3],"y":1},"c":1}"#,
            r#"{"b":{"y":1,"x":[2,3]}}"#,
        ] {
            let different = value(different);
            assert!(!are_same(&one, &different), "{different}");
            assert!(!are_same(&different, &one), "{different}");
        }
        assert!(keeps(&one, &value(r#"{"b":{"x":[2,3],"y":1}}"#)));
    }

    #[test]
    fn numbers_are_the_same_in_any_form() {
        for (one, other) in [
            ("1.0", "1.00"),
            ("1e3", "1000.0"),
            ("0.1", "1e-1"),
            ("18446744073709551616", "1.8446744073709552e19"),
            ("-3", "-3"),
        ] {
            assert!(are_same(&value(one), &value(other)), "{one} {other}");
        }
        for (one, other) in [
            ("1", "1.0"),
            ("1", "-1"),
            ("18446744073709551615", "18446744073709551614"),
            ("0.1", "0.2"),
            ("1", "\"1\""),
        ] {
            assert!(!are_same(&value(one), &value(other)), "{one} {other}");
        }
    }
}
