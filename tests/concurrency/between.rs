//! Publishers that come and go between any two statements of a reader.

use std::sync::{Arc, Mutex};

use diesel::Connection;
use diesel::connection::InstrumentationEvent;
use persisting_message_bus::Transactions;
use persisting_message_bus_tests::databases::Server;

use super::{Reader, place};

/// No reader needs more to handle a page.
const STATEMENTS: u32 = 12;

/// When a slow publisher comes, with one who overtakes it, and when it commits: behind which
/// statement of the reader.
struct Plan<C> {
    slow: C,
    fast: C,
    statements: u32,
    comes: u32,
    goes: u32,
}

impl<C: Connection> Plan<C>
where
    C: persisting_message_bus::MessageRepository + Transactions,
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

/// With the models `fence`, control *locks before sequence*, and `slots`, control *slots before last
/// position*: who comes between the two looks is there.
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
            // The reader may have come to its end before.
            while plan.lock().unwrap().statements < goes {
                plan.lock().unwrap().a_statement_has_run();
            }
            delivered.extend(reader.read());
            assert_eq!(delivered, [1, 2, 3], "behind {comes}, until {goes}");
        }
    }
}
