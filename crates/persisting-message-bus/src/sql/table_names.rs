//! A macro that defines a struct for the names of a table and its columns, from one list.

use std::borrow::Cow;

/// The name of a table or column.
pub(super) type Name = Cow<'static, str>;

/// The name of an optional column.
pub(super) type OptionalName = Option<Name>;

macro_rules! table_names {
    ($(
        $(#[$doc:meta])*
        $table:ident {
            $($(#[$field_doc:meta])* $field:ident: $kind:ident = $default:literal,)*
        }
    )*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct $table {
            $($(#[$field_doc])* pub $field: $kind,)*
        }

        impl $table {
            const DEFAULT: Self = Self {
                $($field: table_names!(@default $kind $default),)*
            };
        }

        impl Names for $table {
            fn name(&self, key: &str) -> Option<&str> {
                match key {
                    $(stringify!($field) => table_names!(@name $kind &self.$field),)*
                    _ => None,
                }
            }
        }
    )*};
    (@default Name $default:literal) => { std::borrow::Cow::Borrowed($default) };
    (@default OptionalName $default:literal) => { Some(std::borrow::Cow::Borrowed($default)) };
    (@name Name $name:expr) => { Some($name) };
    (@name OptionalName $name:expr) => { $name.as_deref() };
}

pub(super) use table_names;
