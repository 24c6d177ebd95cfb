//! Changes of the number of segments.

use persisting_message_bus::{MessageConsumer, ParallelConsumer};
use persisting_message_bus_tests::databases::Database;

use super::handling::place;
use super::topic::Orders;
use super::{division, segments};

pub fn segments_are_replaced_where_they_meet<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    place(&mut bus, 0..50);
    let make = || MessageConsumer::<Orders>::external("all", |_| Ok(()));
    let mut consumer = ParallelConsumer::unordered(make).segments(4);
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 50);
    place(&mut bus, 50..80);
    assert!(consumer.resize(&mut bus, 16).unwrap());
    assert!(division(&mut bus, "all").unwrap().resize.is_some());
    place(&mut bus, 80..100);
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 50);
    let division = division(&mut bus, "all").unwrap();
    assert_eq!((division.segments, division.resize), (16, None));
    let cursors = segments(&mut bus, "all").into_iter().map(|row| row.cursor);
    let end = persisting_message_bus::backend::MessageSource::current_head(&mut bus, "orders");
    let end = end.unwrap();
    assert!(cursors.clone().all(|it| it == Some(end)), "{cursors:?}");
    assert!(!consumer.resize(&mut bus, 16).unwrap(), "it has so many");
}
