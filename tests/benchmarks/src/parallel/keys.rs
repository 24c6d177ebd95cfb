//! Messages with keys.

use benchmark_rows::Failure;
use benchmark_rows::backends::{Backend, Database};
use diesel::connection::SimpleConnection;
use persisting_message_bus::{MessageDispatcher, Topic};
use serde::{Deserialize, Serialize};

use crate::raw::Row;

const BATCH: u64 = 2_500;

/// A step on the way of a parcel.
#[derive(Debug, Serialize, Deserialize)]
pub struct Scanned {
    parcel: u64,
    number: u64,
    place: String,
}

#[derive(Debug, Topic)]
#[topic(name = "parcels", key = parcel)]
pub enum Parcels {
    Scanned(Scanned),
}

impl Parcels {
    pub fn number(&self) -> u64 {
        let Self::Scanned(scanned) = self;
        scanned.number
    }

    pub fn decode(row: &Row<'_>) -> Result<Self, Failure> {
        Ok(Self::Scanned(serde_json::from_str(row.payload)?))
    }
}

/// How the messages are distributed over keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Keys {
    /// So many keys in turn.
    Even(u64),
    /// So many keys, of which the n-th has a share of 1/n.
    Zipf(u64),
}

impl Keys {
    pub fn number(self) -> u64 {
        match self {
            Self::Even(keys) | Self::Zipf(keys) => keys,
        }
    }

    /// Returns the keys of messages, the same ones each time.
    fn of_messages(self) -> impl FnMut(u64) -> u64 {
        let mut random = fastrand::Rng::with_seed(20_251);
        let shares: Vec<f64> = match self {
            Self::Even(_) => Vec::new(),
            Self::Zipf(keys) => (1..=keys)
                .scan(0.0, |sum, key| {
                    *sum += 1.0 / key as f64;
                    Some(*sum)
                })
                .collect(),
        };
        move |message| match self {
            Self::Even(keys) => message % keys,
            Self::Zipf(_) => {
                let at = random.f64() * shares.last().copied().unwrap_or_default();
                shares.partition_point(|share| *share < at) as u64
            }
        }
    }
}

/// Inserts messages, and lets the database settle.
pub fn fill<B: Backend>(
    database: &Database<'_, B>,
    keys: Keys,
    messages: u64,
) -> Result<(), Failure> {
    let mut connection = database.connect()?;
    connection.batch_execute("CREATE TABLE handled (order_number BIGINT NOT NULL)")?;
    let dispatcher = MessageDispatcher::<Parcels>::new();
    let mut key = keys.of_messages();
    for first in (0..messages).step_by(BATCH as usize) {
        let batch = (first..messages.min(first + BATCH)).map(|number| {
            Parcels::Scanned(Scanned {
                parcel: key(number),
                number,
                place: "Lighthouse Lane 17, second floor, 20457 Hamburg, Germany".to_owned(),
            })
        });
        dispatcher.dispatch_batch(&mut connection, batch)?;
    }
    B::settle(&database.url)
}
