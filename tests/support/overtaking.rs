//! Publishers that begin and commit between any two statements of a reader.

use std::sync::{Arc, Mutex};

use diesel::Connection;
use diesel::connection::InstrumentationEvent;
use persisting_message_bus::backend::TransactionControl;

/// The statement of the reader after which a slow publisher begins and a fast one overtakes it
/// (`comes`), and the one after which the slow publisher commits (`goes`).
struct Plan<C> {
    slow: C,
    fast: C,
    place: fn(&mut C, u64),
    statements: u32,
    comes: u32,
    goes: u32,
}

impl<C: TransactionControl> Plan<C> {
    fn a_statement_has_run(&mut self) {
        self.statements += 1;
        if self.statements == self.comes {
            self.slow.begin().unwrap();
            (self.place)(&mut self.slow, 2);
            (self.place)(&mut self.fast, 3);
        }
        if self.statements == self.goes {
            self.slow.commit().unwrap();
        }
    }
}

/// Two publishers, which place the messages 1, 2 and 3.
pub struct Overtaking<C>(Arc<Mutex<Plan<C>>>);

impl<C: Connection + TransactionControl> Overtaking<C> {
    /// Lets them watch the statements of a reader. `place` publishes the message of a number.
    pub fn between_statements_of(
        reader: &mut C,
        [slow, fast]: [C; 2],
        place: fn(&mut C, u64),
    ) -> Self
    where
        C: 'static,
    {
        let plan = Arc::new(Mutex::new(Plan {
            slow,
            fast,
            place,
            statements: 0,
            comes: 0,
            goes: 0,
        }));
        let watched = Arc::clone(&plan);
        reader.set_instrumentation(move |event: InstrumentationEvent<'_>| {
            if let InstrumentationEvent::FinishQuery { .. } = event {
                watched.lock().unwrap().a_statement_has_run();
            }
        });
        Self(plan)
    }

    /// Lets `read` read the first message while the others come. Returns what it returns, and how many
    /// statements it ran.
    pub fn during<T>(&self, comes: u32, goes: u32, read: impl FnOnce() -> T) -> (T, u32) {
        {
            let mut plan = self.0.lock().unwrap();
            let place = plan.place;
            place(&mut plan.fast, 1);
            (plan.statements, plan.comes, plan.goes) = (0, comes, goes);
        }
        let seen = read();
        let ran = self.0.lock().unwrap().statements;
        // The reader may have finished earlier.
        while self.0.lock().unwrap().statements < goes {
            self.0.lock().unwrap().a_statement_has_run();
        }
        (seen, ran)
    }
}
