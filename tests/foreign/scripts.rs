//! SQL scripts, run by the command-line clients of the databases, in transactions of their own.

use std::io::Write;
use std::process::{Child, ChildStdin, Command, Stdio};

use persisting_message_bus::sql::TableSchema;
use persisting_message_bus_tests::databases::{Database, Mariadb, Postgres, Server};
use persisting_message_bus_tests::waiting::wait_until;

use crate::{COLUMNS, Guarded, Reader, values};

/// A client that reads statements from a pipe.
struct Client {
    child: Child,
    input: Option<ChildStdin>,
}

impl Client {
    fn start(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("the client: ./test installs it");
        let input = child.stdin.take();
        Self { child, input }
    }

    fn send(&mut self, sql: &str) {
        let input = self.input.as_mut().expect("an open pipe");
        writeln!(input, "{sql};").expect("a pipe");
        input.flush().expect("a pipe");
    }

    fn end(mut self) {
        self.input = None;
        assert!(self.child.wait().expect("a status").success());
    }
}

fn a_script_is_guarded<D: Guarded>(database: &D, mut client: Client) {
    let schema = TableSchema::default();
    let mut publisher = database.connect();
    let mut reader = Reader::on(database, schema.clone());
    client.send("BEGIN");
    client.send(&format!(
        "INSERT INTO public_messages {COLUMNS} VALUES {}",
        values(1)
    ));
    wait_until("the script's fence", || D::fences(&mut publisher) == 1);
    D::place(&schema, &mut publisher, 2..3).unwrap();
    assert!(reader.read().is_empty());
    client.send("COMMIT");
    client.end();
    // The script may have drawn its position after the publisher.
    let mut seen = reader.read();
    seen.sort_unstable();
    assert_eq!(seen, [1, 2]);
}

#[test]
fn a_script_run_by_psql_is_guarded() {
    let database = Postgres::create_guarded();
    let mut psql = Command::new("psql");
    psql.args([
        "--quiet",
        "--no-psqlrc",
        "--set=ON_ERROR_STOP=1",
        &database.url(),
    ]);
    a_script_is_guarded(&database, Client::start(psql));
}

#[test]
fn a_script_run_by_the_client_of_mariadb_is_guarded() {
    let database = Mariadb::create_guarded();
    let url = database.url();
    let (address, name) = url.rsplit_once('/').expect("a database");
    let (_, port) = address.rsplit_once(':').expect("a port");
    let mut mariadb = Command::new("mariadb");
    mariadb.args([
        "--no-defaults",
        "--protocol=tcp",
        "--host=127.0.0.1",
        "--user=root",
    ]);
    mariadb.args(["--unbuffered", "--batch", &format!("--port={port}"), name]);
    a_script_is_guarded(&database, Client::start(mariadb));
}

#[test]
fn a_script_without_a_guard_is_not_announced() {
    let database = Mariadb::create();
    let mut connection = database.connect();
    crate::insert(&mut connection, 1).unwrap();
    assert_eq!(
        Mariadb::fences(&mut connection),
        64,
        "there are no slots yet"
    );
}
