//! Publishers that begin and commit between any two statements of a reader.

use std::sync::{Arc, Mutex};

use diesel::Connection;
use diesel::connection::InstrumentationEvent;
use persisting_message_bus::backend::TransactionControl;
use persisting_message_bus_tests::databases::Server;

use super::{Reader, place};

/// An upper limit for the statements of a page.
const STATEMENTS: u32 = 12;

/// The statement of the reader after which a slow publisher begins and a fast one overtakes it
/// (`comes`), and the one after which the slow publisher commits (`goes`).
struct Plan<C> {
    slow: C,
    fast: C,
    statements: u32,
    comes: u32,
    goes: u32,
}

impl<C: Connection> Plan<C>
where
    C: persisting_message_bus::backend::MessageRepository + TransactionControl,
{
    fn a_statement_has_run(&mut self) {
        self.statements += 1;
        if self.statements == self.comes {
            self.slow.begin().unwrap();
            place(&mut self.slow, 2).unwrap();
            place(&mut self.fast, 3).unwrap();
        }
        if self.statements == self.goes {
            self.slow.commit().unwrap();
        }
    }
}

/// Replays the models `fence`, control *locks before sequence*, and `slots`, control *slots before
/// last position*: a publisher begins between the two reads.
pub fn publishers_between_the_statements_of_a_reader_lose_nothing<D: Server>() {
    let (mut reader, [slow, fast]) = Reader::<D>::create();
    let plan = Arc::new(Mutex::new(Plan {
        slow,
        fast,
        statements: STATEMENTS,
        comes: 0,
        goes: 0,
    }));
    let watched = Arc::clone(&plan);
    reader
        .bus
        .set_instrumentation(move |event: InstrumentationEvent<'_>| {
            if let InstrumentationEvent::FinishQuery { .. } = event {
                watched.lock().unwrap().a_statement_has_run();
            }
        });
    for comes in 1..STATEMENTS {
        for goes in comes..STATEMENTS {
            place(&mut plan.lock().unwrap().fast, 1).unwrap();
            {
                let mut plan = plan.lock().unwrap();
                (plan.statements, plan.comes, plan.goes) = (0, comes, goes);
            }
            let mut delivered = reader.read();
            // The reader may have finished earlier.
            while plan.lock().unwrap().statements < goes {
                plan.lock().unwrap().a_statement_has_run();
            }
            delivered.extend(reader.read());
            assert_eq!(delivered, [1, 2, 3], "from {comes} to {goes}");
        }
    }
}
