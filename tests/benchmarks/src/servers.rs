//! Dedicated servers whose commits survive a power failure, because each commit waits for the disk.

use persisting_message_bus_tests::servers::{MariadbServer, PostgresServer};

pub fn postgres() -> PostgresServer {
    PostgresServer::start_with(&["fsync=on"])
}

pub fn mariadb() -> MariadbServer {
    MariadbServer::start_with(&["--innodb-flush-log-at-trx-commit=1"])
}
