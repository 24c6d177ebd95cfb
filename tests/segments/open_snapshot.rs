//! PostgreSQL keeps all versions of a row while a transaction is open that may read them. What is done with
//! the rows of segments must not become more expensive with each version.
//!
//! `SOAK_SECONDS` is the time for which a transaction stays open; without it, a moment.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::sql_types::BigInt;
use diesel::{PgConnection, RunQueryDsl, dsl};
use persisting_message_bus::Position;
use persisting_message_bus::backend::{CursorUpdate, Lease, MessageConsumerState, Place, Segment};
use persisting_message_bus_tests::databases::{Database, OwnPostgres};
use persisting_message_bus_tests::soak_time;

use super::segments;
use super::traces::{divide, segment, take};

const LEASE: Duration = Duration::from_secs(600);

/// How often the same is done, to measure it.
const TIMES: i64 = 100;

/// A consumer with 64 segments, in a database of its own, so that no other test's transaction keeps
/// versions of its rows.
struct Rows {
    bus: PgConnection,
    other: PgConnection,
    segment: Segment,
    _database: OwnPostgres,
}

impl Rows {
    fn new() -> Self {
        let (database, mut bus) = divide::<OwnPostgres>(64);
        // It reads and removes versions at any time.
        let quiet = "ALTER TABLE message_consumer_segments SET (autovacuum_enabled = false)";
        bus.batch_execute(quiet).unwrap();
        Self {
            segment: segment(&mut bus, 1),
            other: database.connect(),
            bus,
            _database: database,
        }
    }

    /// Begins a transaction of another session that could read the present versions.
    fn open_transaction(&mut self) {
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM message_consumer_segments";
        self.other.batch_execute(begin).unwrap();
    }

    fn end_transaction(&mut self) {
        self.other.batch_execute("COMMIT").unwrap();
    }

    /// Returns how many blocks of the table and its index are read on average.
    fn blocks(&mut self, work: fn(&mut Self)) -> i64 {
        let before = self.blocks_until_now();
        for _ in 0..TIMES {
            work(self);
        }
        (self.blocks_until_now() - before) / TIMES
    }

    fn blocks_until_now(&mut self) -> i64 {
        let flush = "SELECT pg_stat_force_next_flush()";
        self.bus.batch_execute(flush).unwrap();
        let blocks =
            "SELECT (heap_blks_hit + heap_blks_read + idx_blks_hit + idx_blks_read)::bigint
            FROM pg_statio_user_tables WHERE relid = 'message_consumer_segments'::regclass";
        dsl::sql::<BigInt>(blocks)
            .get_result(&mut self.bus)
            .unwrap()
    }

    fn take(&mut self) -> Lease {
        take(&mut self.bus, &self.segment, "first", LEASE).unwrap()
    }

    fn store(&mut self, lease: &Lease, releases: bool) {
        let place = Place {
            cursor: Some(Position::new(lease.epoch)),
            anchor: None,
        };
        let update = CursorUpdate {
            place,
            extend_lease: (!releases).then_some(LEASE),
        };
        self.bus.store_cursor(lease, &update).unwrap();
    }

    /// What a thread does with a segment: it takes the lease, stores cursors, and releases it.
    fn work_on_a_segment(&mut self) {
        let lease = self.take();
        for is_last in [false, false, true] {
            self.store(&lease, is_last);
        }
    }

    /// What a look does.
    fn read_all(&mut self) {
        assert_eq!(segments(&mut self.bus, "all").len(), 64);
    }
}

/// The epoch of a lease is part of the row's key. So the versions of earlier leases are not read: only the
/// index grows, by one level, which stays.
#[test]
fn the_work_of_a_lease_reads_no_versions_of_earlier_leases() {
    let mut rows = Rows::new();
    let works = [Rows::work_on_a_segment, Rows::read_all];
    rows.open_transaction();
    let first = works.map(|work| rows.blocks(work));
    let (begun, time) = (Instant::now(), soak_time(0));
    let mut leases = 0_u32;
    while leases < 2_000 || begun.elapsed() < time {
        rows.work_on_a_segment();
        leases += 1;
    }
    eprintln!("{leases} leases beside an open transaction");
    let last = works.map(|work| rows.blocks(work));
    rows.end_transaction();
    let afterwards = works.map(|work| rows.blocks(work));
    for (first, later) in first.iter().zip(last.iter().chain(&afterwards)) {
        // With hundreds of times as many leases, as after ten minutes, the index has two more levels.
        let most = if leases > 100_000 { 20 } else { 16 };
        assert!(
            later * 10 <= first * most,
            "{first:?}, {last:?}, {afterwards:?}"
        );
    }
}

/// The stores of one lease update one key, so they read each other's versions. A lease has few stores, and
/// the next one reads them no more.
#[test]
fn stores_read_the_versions_of_their_own_lease_only() {
    let mut rows = Rows::new();
    rows.open_transaction();
    let first = rows.blocks(Rows::work_on_a_segment);
    let lease = rows.take();
    let measure = |rows: &mut Rows| {
        let before = rows.blocks_until_now();
        for _ in 0..TIMES {
            rows.store(&lease, false);
        }
        rows.blocks_until_now() - before
    };
    let stores = [(); 10].map(|()| measure(&mut rows));
    rows.store(&lease, true);
    let _passes_over_them = rows.take();
    let next = rows.blocks(Rows::work_on_a_segment);
    rows.end_transaction();
    let afterwards = rows.blocks(Rows::work_on_a_segment);
    let figures = format!("{first}, {stores:?}, {next}, {afterwards}");
    // Each block has about 40 versions, so a store reads one more block after 40 others at most.
    let growth = stores.windows(2).map(|pair| pair[1] - pair[0]);
    assert!(growth.max() <= Some(TIMES * TIMES / 20), "{figures}");
    assert!(next * 10 <= first * 16, "{figures}");
    assert!(afterwards * 10 <= first * 16, "{figures}");
}
