//! Dedicated servers whose commits survive a power failure, because each commit waits for the disk.

use persisting_message_bus_tests::servers::{MariadbServer, PostgresServer};

pub fn postgres() -> PostgresServer {
    // The default would not be enough for the locks of the idle consumers' scenario.
    PostgresServer::start_with(&["fsync=on", "max_locks_per_transaction=256"])
}

pub fn mariadb() -> MariadbServer {
    MariadbServer::start_with(&["--innodb-flush-log-at-trx-commit=1"])
}
