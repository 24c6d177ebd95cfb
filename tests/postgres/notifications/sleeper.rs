use std::convert::Infallible;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};

use diesel::PgConnection;
use persisting_message_bus::backend::{MessageSource, SlotObservations};
use persisting_message_bus::operate::RunHandle;
use persisting_message_bus::{Error, Message, MessageBus, MessageConsumer, Position, Runner};
use persisting_message_bus_tests::databases::{Database, Postgres, Server};
use persisting_message_bus_tests::forward_source;
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};
use persisting_message_bus_tests::waiting::wait_until;

use super::super::orders;
use super::{HOUR, LONG};

/// A source whose change token never changes, so that a runner polls it only when it is woken.
struct Quiet {
    messages: PgConnection,
    asked: Arc<Mutex<Vec<Asked>>>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Asked {
    Changes,
    Messages,
}

impl MessageSource for Quiet {
    fn high_water_mark(
        &mut self,
        topic: &str,
        observations: &mut SlotObservations,
    ) -> Result<Position, Error> {
        self.asked.lock().unwrap().push(Asked::Messages);
        self.messages.high_water_mark(topic, observations)
    }

    forward_source! { |this| this.messages => head, last_position, read_page }

    fn change_token(&mut self) -> Result<Option<i64>, Error> {
        self.asked.lock().unwrap().push(Asked::Changes);
        Ok(Some(0))
    }
}

/// A runner that polls only when it is woken.
pub struct Sleeper {
    pub running: RunHandle,
    database: Postgres,
    asked: Arc<Mutex<Vec<Asked>>>,
    seen: Receiver<u64>,
}

impl Sleeper {
    pub fn start() -> Self {
        let database = Postgres::create();
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let (sender, seen) = channel();
        let consumer =
            MessageConsumer::<Orders>::external("all", move |message: &Message<Orders>| {
                Ok(sender.send(message.payload().order())?)
            });
        let connect = {
            let (url, asked) = (database.url(), Arc::clone(&asked));
            move || {
                let (messages, asked) = (Postgres::connect_to(&url), Arc::clone(&asked));
                let bus = MessageBus::new(Quiet { messages, asked }, Postgres::connect_to(&url));
                Ok::<_, Infallible>(bus)
            }
        };
        let running = Runner::new(connect)
            .idle_interval(HOUR)
            .consumer(consumer)
            .start();
        Self {
            running,
            database,
            asked,
            seen,
        }
    }

    /// Publishes while the runner is idle.
    pub fn publish(&self, order: u64) {
        wait_until("the consumer rests", || {
            let asked = self.asked.lock().unwrap();
            asked.ends_with(&[Asked::Changes, Asked::Changes])
        });
        orders()
            .dispatch(&mut self.database.connect(), &OrderPlaced::number(order))
            .unwrap();
    }

    pub fn assert_sees(&self, order: u64) {
        assert_eq!(self.seen.recv_timeout(LONG), Ok(order));
    }
}
