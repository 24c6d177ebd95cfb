//! A macro that defines a struct for the names of a table and its columns, from one list.

use std::borrow::Cow;

use crate::sql::dialect::Names;

/// The name of a table or column.
pub(super) type Name = Cow<'static, str>;

/// The name of an optional column.
pub(super) type OptionalName = Option<Name>;

/// A table and its columns, as the library uses them.
#[derive(Debug, Clone)]
pub(super) struct Layout<'a> {
    pub(super) table: &'a str,
    pub(super) columns: Vec<&'a str>,
}

impl<'a> Layout<'a> {
    /// The keys of names that are not those of columns.
    const OTHERS: [&'static str; 2] = ["table", "topic_index"];

    pub(super) fn of(table: &'a str, names: &'a dyn Names, keys: &[&str]) -> Self {
        let columns = keys.iter().filter(|key| !Self::OTHERS.contains(key));
        Self {
            table,
            columns: columns.filter_map(|key| names.name(key)).collect(),
        }
    }
}

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

            /// Returns the table and its columns.
            pub(super) fn layout(&self) -> Layout<'_> {
                Layout::of(&self.table, self, &[$(stringify!($field)),*])
            }
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
