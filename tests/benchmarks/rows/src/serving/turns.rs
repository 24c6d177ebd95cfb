use diesel::connection::SimpleConnection;

use super::amounts::Amounts;
use super::load::Load;
use crate::backends::{Backend, Database};
use crate::consume::{Task, consume, consume_inserting};
use crate::fill::fill;
use crate::publish::{Publishers, dispatched_in_batches, dispatched_one_by_one};
use crate::topic::Orders;
use crate::{Done, Failure, Way};

/// Runs turns of the rows of one database.
pub trait Turns {
    /// Returns the names of all rows.
    fn rows(&self) -> Vec<String>;

    /// Runs a turn of a row. Returns `None` if there is no such row.
    fn turn(&mut self, row: &str) -> Option<Result<Done, Failure>>;
}

pub struct TurnsOn<'a, B: Backend> {
    backend: &'a B,
    /// The prefix of the names of its databases.
    name: String,
    amounts: Amounts,
    databases: u32,
    ready: Option<Ready<'a, B>>,
    /// The database of all rows that only read messages.
    backlog: Option<Database<'a, B>>,
}

/// A row with its connections, which are closed before their database is removed.
struct Ready<'a, B: Backend> {
    load: Load,
    way: Way,
    _database: Option<Database<'a, B>>,
}

impl<'a, B: Backend> TurnsOn<'a, B> {
    pub fn new(backend: &'a B, name: &str, amounts: Amounts) -> Self {
        Self {
            backend,
            name: name.to_owned(),
            amounts,
            databases: 0,
            ready: None,
            backlog: None,
        }
    }

    fn turn_of(&mut self, load: Load) -> Result<Done, Failure> {
        let ready = match self.ready.take() {
            Some(ready) if ready.load == load => ready,
            other => {
                drop(other);
                self.prepare(load)?
            }
        };
        (self.ready.insert(ready).way)()
    }

    fn prepare(&mut self, load: Load) -> Result<Ready<'a, B>, Failure> {
        let (way, database) = match load {
            Load::Consume { kind, page } => {
                let mut connection = self.backlog()?.connect()?;
                let task = Task::handle_new_messages(kind, page);
                let way = move || consume::<Orders, _>(&mut connection, task);
                (Box::new(way) as Way, None)
            }
            Load::ConsumeInserting { page } => {
                let database = self.filled(B::INSERTS.min(self.amounts.inserted))?;
                let mut connection = database.connect()?;
                connection.batch_execute("CREATE TABLE handled (order_number BIGINT NOT NULL)")?;
                let way = move || consume_inserting::<B>(&mut connection, page);
                (Box::new(way) as Way, Some(database))
            }
            Load::PublishSingle { publishers } => {
                let database = self.create()?;
                let of = Publishers {
                    publishers,
                    topics: 1,
                    duration: self.amounts.publish_for,
                };
                (dispatched_one_by_one(&database, of)?, Some(database))
            }
            Load::PublishBatch { size } => {
                let database = self.create()?;
                let duration = self.amounts.publish_for;
                let way = dispatched_in_batches(&database, size, duration)?;
                (way, Some(database))
            }
        };
        Ok(Ready {
            load,
            way,
            _database: database,
        })
    }

    fn backlog(&mut self) -> Result<&Database<'a, B>, Failure> {
        let backlog = match self.backlog.take() {
            Some(backlog) => backlog,
            None => self.filled(self.amounts.consumed)?,
        };
        Ok(self.backlog.insert(backlog))
    }

    fn filled(&mut self, messages: u64) -> Result<Database<'a, B>, Failure> {
        let database = self.create()?;
        fill(&database, messages, 1)?;
        Ok(database)
    }

    fn create(&mut self) -> Result<Database<'a, B>, Failure> {
        self.databases += 1;
        let name = format!("{}_{}", self.name, self.databases);
        Database::create(self.backend, &name)
    }
}

impl<B: Backend> Turns for TurnsOn<'_, B> {
    fn rows(&self) -> Vec<String> {
        Load::ALL.map(row::<B>).into()
    }

    fn turn(&mut self, name: &str) -> Option<Result<Done, Failure>> {
        let load = Load::ALL.into_iter().find(|load| row::<B>(*load) == name);
        load.map(|load| self.turn_of(load))
    }
}

fn row<B: Backend>(load: Load) -> String {
    format!("{}/{}", B::NAME, load.name())
}
