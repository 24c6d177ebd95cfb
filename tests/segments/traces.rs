//! Replays of the controls of the model of segments: statements of earlier holders that arrive late.
//! The ones that replace segments are in `replacements`.

use std::time::Duration;

use persisting_message_bus::backend::{
    CursorUpdate, Lease, LeaseRequest, MessageConsumerState, Place, Segment,
};
use persisting_message_bus::{MessageConsumer, ParallelConsumer, Position};
use persisting_message_bus_tests::databases::Database;

use super::handling::place;
use super::topic::Orders;
use super::{division, key};

const LEASE: Duration = Duration::from_secs(60);

/// Divides the consumer "all" by key into so many segments, which have no messages yet.
pub fn divide<D: Database>(segments: u16) -> (D, D::Bus) {
    let database = D::create();
    let mut bus = database.connect();
    let make = || MessageConsumer::<Orders>::external("all", |_| Ok(()));
    let mut consumer = ParallelConsumer::by_key(make).segments(segments);
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 0);
    (database, bus)
}

pub fn segment(bus: &mut impl MessageConsumerState, number: u16) -> Segment {
    let division = division(bus, "all").expect("it is divided");
    division.segment("all", number)
}

pub fn take(
    bus: &mut impl MessageConsumerState,
    segment: &Segment,
    owner: &str,
    duration: Duration,
) -> Result<Lease, persisting_message_bus::Error> {
    bus.acquire(&LeaseRequest {
        consumer: "all",
        topic: "orders",
        segment: Some(segment),
        owner,
        duration,
        identity: Default::default(),
        hands_out: false,
    })
}

fn at(position: i64) -> Place {
    Place {
        cursor: Some(Position::new(position)),
        anchor: None,
    }
}

/// Stores a cursor; releases the lease afterwards if `releases`.
fn store(
    bus: &mut impl MessageConsumerState,
    lease: &Lease,
    position: i64,
    releases: bool,
) -> Result<(), persisting_message_bus::Error> {
    let update = CursorUpdate {
        place: at(position),
        extend_lease: (!releases).then_some(LEASE),
    };
    bus.store_cursor(lease, &update)
}

fn cursor(bus: &mut impl MessageConsumerState, segment: &Segment) -> Option<i64> {
    let row = bus.stored_segment(key("all"), segment).unwrap();
    row.expect("a segment").cursor.map(Position::get)
}

/// Every write of a lease is refused, and changes nothing.
fn is_fenced(bus: &mut impl MessageConsumerState, lease: &Lease) {
    let segment = lease.segment.clone().expect("a segment");
    let before = bus.stored_segment(key("all"), &segment).unwrap().unwrap();
    for releases in [false, true] {
        let refused = store(bus, lease, 1, releases).unwrap_err();
        assert!(refused.is_lease_lost(), "{refused}");
    }
    assert!(bus.renew(lease, LEASE).unwrap_err().is_lease_lost());
    assert!(bus.reset(lease, at(1)).unwrap_err().is_lease_lost());
    bus.release(lease).unwrap();
    let after = bus.stored_segment(key("all"), &segment).unwrap().unwrap();
    let columns = |row: persisting_message_bus::backend::ConsumerRow| {
        (
            row.cursor,
            row.lease_owner,
            row.lease_epoch,
            row.lease_expires_at,
        )
    };
    assert_eq!(columns(before), columns(after));
}

/// Replays `where_the_take_compares_nothing`: two processes have chosen the same segment.
pub fn a_segment_that_is_held_is_not_taken<D: Database>() {
    let (_database, mut bus) = divide::<D>(2);
    let segment = segment(&mut bus, 1);
    take(&mut bus, &segment, "first", LEASE).unwrap();
    let refused = take(&mut bus, &segment, "second", LEASE).unwrap_err();
    assert!(refused.is_lease_held(), "{refused}");
}

/// Replays `with_the_owner_only`: a store and a release that were sent before arrive when the same
/// process has taken the segment again.
pub fn late_writes_of_the_same_owner_are_refused<D: Database>() {
    let (_database, mut bus) = divide::<D>(2);
    let segment = segment(&mut bus, 1);
    let former = take(&mut bus, &segment, "first", LEASE).unwrap();
    store(&mut bus, &former, 3, true).unwrap();
    let present = take(&mut bus, &segment, "first", LEASE).unwrap();
    assert_eq!(
        (present.epoch, present.cursor),
        (former.epoch + 1, at(3).cursor)
    );
    is_fenced(&mut bus, &former);
    let held = take(&mut bus, &segment, "second", LEASE).unwrap_err();
    assert!(held.is_lease_held(), "{held}");
    store(&mut bus, &present, 4, false).unwrap();
    assert_eq!(cursor(&mut bus, &segment), Some(4));
}

/// Replays `with_the_epoch_only`: the process has released the segment, so the row has no owner, but
/// still the same epoch. Then its store arrives.
pub fn a_late_store_after_the_release_is_refused<D: Database>() {
    let (_database, mut bus) = divide::<D>(2);
    let segment = segment(&mut bus, 1);
    let lease = take(&mut bus, &segment, "first", LEASE).unwrap();
    store(&mut bus, &lease, 3, true).unwrap();
    is_fenced(&mut bus, &lease);
    assert_eq!(cursor(&mut bus, &segment), Some(3));
}

/// Replays `where_late_results_count` and `with_the_owner_only_and_a_late_thread`: a thread of a process
/// ends its message when the process has lost the segment, and has taken it again after another one.
pub fn a_late_thread_of_an_expired_lease_is_refused<D: Database>() {
    let (_database, mut bus) = divide::<D>(2);
    let segment = segment(&mut bus, 1);
    let former = take(&mut bus, &segment, "first", Duration::ZERO).unwrap();
    let other = take(&mut bus, &segment, "second", LEASE).unwrap();
    is_fenced(&mut bus, &former);
    store(&mut bus, &other, 5, true).unwrap();
    let present = take(&mut bus, &segment, "first", LEASE).unwrap();
    is_fenced(&mut bus, &former);
    is_fenced(&mut bus, &other);
    assert_eq!(present.cursor, at(5).cursor);
}

/// Replays `where_renewals_name_the_owner_only`: the answer to a take was lost, and the process renews
/// only the leases that it knows. So the segment becomes free.
pub fn a_renewal_keeps_only_the_lease_that_it_names<D: Database>() {
    let (_database, mut bus) = divide::<D>(2);
    let [known, unknown] = [0, 1].map(|number| segment(&mut bus, number));
    let lease = take(&mut bus, &known, "first", LEASE).unwrap();
    take(&mut bus, &unknown, "first", Duration::ZERO).unwrap();
    bus.renew(&lease, LEASE).unwrap();
    let taken = take(&mut bus, &unknown, "second", LEASE).unwrap();
    assert_eq!(taken.owner, "second");
    let held = take(&mut bus, &known, "second", LEASE).unwrap_err();
    assert!(held.is_lease_held(), "{held}");
}

/// Replays `what_remains` and `where_a_release_does_not_store_the_cursor`: a store arrives after a later
/// one of the same lease. The release stores the cursor again.
pub fn a_release_stores_the_cursor_again<D: Database>() {
    let (_database, mut bus) = divide::<D>(2);
    let segment = segment(&mut bus, 1);
    let lease = take(&mut bus, &segment, "first", LEASE).unwrap();
    for position in [1, 2, 1] {
        store(&mut bus, &lease, position, false).unwrap();
    }
    store(&mut bus, &lease, 2, true).unwrap();
    let next = take(&mut bus, &segment, "second", LEASE).unwrap();
    assert_eq!(next.cursor, at(2).cursor);
}

/// Replays `where_a_reset_keeps_owner_and_epoch` and `where_a_reset_keeps_owner_and_epoch_of_a_transaction`:
/// the holder's lease has expired, so a reset is not refused. Then the holder stores its cursor.
pub fn a_reset_fences_a_holder_whose_lease_has_expired<D: Database>() {
    let (_database, mut bus) = divide::<D>(2);
    place(&mut bus, 0..10);
    let segment = segment(&mut bus, 1);
    let holder = take(&mut bus, &segment, "first", Duration::ZERO).unwrap();
    store(&mut bus, &holder, 5, false).unwrap();
    let holder = take(&mut bus, &segment, "first", Duration::ZERO).unwrap();
    let operator = take(&mut bus, &segment, "an operator", LEASE).unwrap();
    bus.reset(&operator, at(0)).unwrap();
    is_fenced(&mut bus, &holder);
    assert_eq!(cursor(&mut bus, &segment), Some(0));
}
