//! cargo run -p persisting-message-bus-tests --bin server-texts
//!
//! Adds the translations of the installed servers to the library's tables of server messages. Other
//! entries of the tables stay, because other versions have other texts.

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
