//! Stops a connection between two of its statements.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

use diesel::Connection;
use diesel::connection::InstrumentationEvent;

/// Lets go on who waits at it when it is opened, and also when it is dropped.
pub(super) struct Gate {
    reached: Receiver<()>,
    opens: Sender<()>,
}

impl Gate {
    /// Stops a connection when it has run so many statements from now on, once.
    pub(super) fn after(statements: u32, connection: &mut impl Connection) -> Self {
        let (reaches, reached) = channel();
        let (opens, opened) = channel();
        let opened = Mutex::new(opened);
        let mut left = statements;
        connection.set_instrumentation(move |event: InstrumentationEvent<'_>| {
            if !matches!(event, InstrumentationEvent::FinishQuery { .. }) || left == 0 {
                return;
            }
            left -= 1;
            if left == 0 && reaches.send(()).is_ok() {
                // Nobody may be there any more.
                let _opened = opened.lock().expect("who opens").recv();
            }
        });
        Self { reached, opens }
    }

    pub(super) fn wait_until_reached(&self) {
        self.reached.recv().expect("it is reached");
    }

    pub(super) fn open(&self) {
        self.opens.send(()).expect("somebody waits");
    }
}
