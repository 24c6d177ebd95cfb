//! Stops a connection between two of its statements.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

use diesel::Connection;
use diesel::connection::InstrumentationEvent;

/// A gate at which a connection waits until the gate is opened or dropped.
pub(super) struct Gate {
    reached: Receiver<()>,
    opens: Sender<()>,
}

impl Gate {
    /// Stops the connection once, after it has run `statements` more statements.
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
                // The receiver returns an error if the gate was dropped.
                let _opened = opened.lock().expect("the receiver").recv();
            }
        });
        Self { reached, opens }
    }

    pub(super) fn wait_until_reached(&self) {
        self.reached.recv().expect("a connection at the gate");
    }

    pub(super) fn open(&self) {
        self.opens.send(()).expect("a connection that waits");
    }
}
