//! A primary and a hot standby, at one address.

use diesel::connection::SimpleConnection;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Text};
use persisting_message_bus::sql::migrate;
use persisting_message_bus_tests::servers::PostgresServer;
use persisting_message_bus_tests::topics::OrderPlaced;
use persisting_message_bus_tests::waiting::wait_until;

use super::proxy::Proxy;
use crate::orders;

pub struct Cluster {
    primary: PostgresServer,
    standby: PostgresServer,
    proxy: Proxy,
}

impl Cluster {
    pub fn start() -> Self {
        let primary = PostgresServer::start();
        let mut connection = PgConnection::establish(&primary.url()).unwrap();
        migrate(&mut connection).unwrap();
        connection
            .batch_execute("CREATE TABLE effects (of_order BIGINT NOT NULL)")
            .unwrap();
        let standby = primary.start_standby();
        let proxy = Proxy::to(primary.port());
        Self {
            primary,
            standby,
            proxy,
        }
    }

    /// Returns the address that applications use.
    pub fn url(&self) -> String {
        self.proxy.url()
    }

    /// Connects to the primary by the address that applications use.
    pub fn connect(&self) -> PgConnection {
        PgConnection::establish(&self.url()).unwrap()
    }

    pub fn connect_to_standby(&self) -> PgConnection {
        PgConnection::establish(&self.standby.url()).unwrap()
    }

    /// Waits until the standby shows everything that is committed now.
    pub fn wait_until_replicated(&self) {
        let mut primary = PgConnection::establish(&self.primary.url()).unwrap();
        let last: String = sql::<Text>("SELECT pg_current_wal_insert_lsn()::text")
            .get_result(&mut primary)
            .unwrap();
        let replayed = format!("SELECT pg_last_wal_replay_lsn() >= '{last}'::pg_lsn");
        let mut standby = self.connect_to_standby();
        wait_until("the standby has replayed", || {
            sql::<Bool>(&replayed).get_result(&mut standby).unwrap()
        });
    }

    /// Makes the standby receive nothing from now on.
    pub fn stop_replication(&self) {
        let mut standby = self.connect_to_standby();
        for statement in [
            "ALTER SYSTEM SET primary_conninfo = ''",
            "SELECT pg_reload_conf()",
        ] {
            standby.batch_execute(statement).unwrap();
        }
        wait_until("the receiver has ended", || {
            let count = "SELECT count(*) FROM pg_stat_wal_receiver";
            sql::<BigInt>(count).get_result::<i64>(&mut standby) == Ok(0)
        });
    }

    /// Kills the primary, promotes the standby, and moves the address to it.
    pub fn fail_over(&mut self) {
        self.primary.kill_at_once();
        self.promote();
        self.move_address();
    }

    pub fn kill_primary(&mut self) {
        self.primary.kill_at_once();
    }

    pub fn promote(&self) {
        let promote = sql::<Bool>("SELECT pg_promote(true)");
        let promoted = promote.get_result(&mut self.connect_to_standby());
        assert_eq!(promoted, Ok(true));
    }

    /// Moves the address to the standby.
    pub fn move_address(&self) {
        self.proxy.switch_to(self.standby.port());
    }
}

pub fn place(bus: &mut PgConnection, numbers: std::ops::RangeInclusive<u64>) {
    let placed = numbers.map(OrderPlaced::number);
    orders().dispatch_batch(bus, placed).unwrap();
}
