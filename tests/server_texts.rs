//! cargo run -p persisting-message-bus-tests --bin server-texts
//!
//! Writes into the library's tables of what databases say the translations that the installed servers have. What
//! the tables have besides stays: other versions speak other languages.

use std::fs;

use persisting_message_bus_tests::catalogues::{
    Form, of_mariadb, of_postgres, table_of, with_translations,
};

fn main() {
    for (database, catalogue, form) in [
        ("postgres", of_postgres(), Form::Text),
        ("mysql", of_mariadb(), Form::Fingerprint),
    ] {
        let path = table_of(database);
        let table = fs::read_to_string(&path).expect("the library's table");
        let table = with_translations(&table, &catalogue, form);
        fs::write(&path, &table).expect("the library's table can be written");
        println!("{}: {} lines", path.display(), table.lines().count());
    }
}
