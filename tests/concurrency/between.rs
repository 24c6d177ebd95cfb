//! Publishers that begin and commit between any two statements of a reader.

use persisting_message_bus_tests::databases::Server;
use persisting_message_bus_tests::overtaking::Overtaking;

use super::{Reader, place};

/// An upper limit for the statements of a page.
const STATEMENTS: u32 = 12;

/// Replays the models `fence`, control *locks before sequence*, and `slots`, control *slots before
/// last position*: a publisher begins between the two reads.
pub fn publishers_between_the_statements_of_a_reader_lose_nothing<D: Server>() {
    let (mut reader, publishers) = Reader::<D>::create();
    let overtaking =
        Overtaking::between_statements_of(&mut reader.bus, publishers, |bus, number| {
            place(bus, number).unwrap();
        });
    for comes in 1..STATEMENTS {
        for goes in comes..STATEMENTS {
            let (mut delivered, _) = overtaking.during(comes, goes, || reader.read());
            delivered.extend(reader.read());
            assert_eq!(delivered, [1, 2, 3], "from {comes} to {goes}");
        }
    }
}
