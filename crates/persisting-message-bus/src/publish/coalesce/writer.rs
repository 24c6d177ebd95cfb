use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::bounded::BoundedCalls;
use crate::error::Error;
use crate::error::class::Class;
use crate::error::kind::BoxError;
use crate::message::raw::RawMessage;
use crate::message::storable::Dispatched;
use crate::panics::catch_panic;
use crate::publish::coalesce::queue::{Entry, Group};
use crate::signals::Signals;
use crate::store::repository::{MessageRepository, OnDuplicate};
use crate::store::transactions::TransactionControl;

/// Servers and proxies end idle connections, so a connection that was idle for longer is not used.
pub(crate) const MAX_IDLE: Duration = Duration::from_secs(30);

/// How long a connection may take to open. It is longer than the 30 seconds of a pool of r2d2, whose
/// error says more.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(40);

pub(crate) const IN_TRANSACTION: &str = "the connection is in a transaction, in which nothing would be \
    committed; give the coalescer a connection outside of transactions";

/// Commits groups.
pub(super) trait Write: Send {
    /// Commits a group, and returns a result for each entry.
    fn write(&mut self, group: &Group) -> Vec<Result<usize, Error>>;
}

/// Commits on a connection that it opens when it needs one.
pub(super) struct Writer<R, F> {
    connect: Arc<F>,
    calls: BoundedCalls,
    /// The connection, and the time at which it was last used.
    repository: Option<(R, Instant)>,
}

impl<R, F, E> Writer<R, F>
where
    R: MessageRepository + TransactionControl + Send + 'static,
    F: Fn() -> Result<R, E> + Send + Sync + 'static,
    E: Into<BoxError>,
{
    pub(super) fn new(connect: Arc<F>) -> Self {
        Self {
            connect,
            calls: BoundedCalls::new(CONNECT_TIMEOUT),
            repository: None,
        }
    }

    /// Commits the messages of all entries together. If one message is refused, commits each half
    /// by itself, so that each entry gets its own error and never that of another entry.
    fn write_all(
        &mut self,
        entries: &[Entry],
        messages: &[RawMessage],
        results: &mut Vec<Result<usize, Error>>,
    ) {
        let alone = entries.len() == 1;
        // If no message of the group is a duplicate, the entries' rules for duplicates do not
        // matter.
        let duplicates = entries.first().filter(|_| alone);
        let duplicates = duplicates.map_or(OnDuplicate::Fail, |entry| entry.duplicates);
        match self.persist(messages, duplicates) {
            result if alone => results.push(result),
            Ok(_) => results.extend(entries.iter().map(|entry| Ok(entry.messages))),
            Err(error) if error.is_retryable() => {
                let error = Arc::new(error);
                results.extend(entries.iter().map(|_| Err(of_all(&error))));
            }
            Err(_) => {
                let (first, second) = entries.split_at(entries.len() / 2);
                let middle = first.iter().map(|entry| entry.messages).sum();
                self.write_all(first, &messages[..middle], results);
                self.write_all(second, &messages[middle..], results);
            }
        }
    }

    fn persist(
        &mut self,
        messages: &[RawMessage],
        duplicates: OnDuplicate,
    ) -> Result<usize, Error> {
        let mut repository = self.repository()?;
        let persisted = catch_panic(|| {
            let result = repository.persist_dispatched(Dispatched::new(messages), duplicates);
            // After an error of the database, or inside a transaction, the connection is unusable.
            let is_good = !matches!(&result, Err(error) if error.is_of_repository());
            if matches!(&result, Err(error) if error.may_be_of_connection()) {
                repository.abandon_repository();
            }
            let kept = is_good && repository.transaction_depth() == 0;
            Ok((result, kept.then_some(repository)))
        });
        let (result, repository) = persisted.unwrap_or_else(|panic| (Err(failed(panic)), None));
        self.repository = repository.map(|repository| (repository, Instant::now()));
        result
    }

    /// Returns the current connection, or a new one.
    fn repository(&mut self) -> Result<R, Error> {
        if let Some((repository, used)) = self.repository.take()
            && used.elapsed() < MAX_IDLE
        {
            return Ok(repository);
        }
        let connect = Arc::clone(&self.connect);
        let opened = move || {
            catch_panic(|| {
                let mut repository = connect().map_err(Into::into)?;
                let open = repository.transaction_depth();
                Ok((repository, open))
            })
        };
        let connected = self.calls.run(&Signals::default(), opened);
        let connected = connected.unwrap_or_else(|late| Err(late.to_string().into()));
        let doing = "connecting to commit messages; nothing was written";
        match connected {
            Ok((repository, 0)) => Ok(repository),
            Ok(_) => Err(failed(IN_TRANSACTION.into())),
            Err(cause) => Err(Error::transient(doing, cause)),
        }
    }
}

impl<R, F, E> Write for Writer<R, F>
where
    R: MessageRepository + TransactionControl + Send + 'static,
    F: Fn() -> Result<R, E> + Send + Sync + 'static,
    E: Into<BoxError>,
{
    fn write(&mut self, group: &Group) -> Vec<Result<usize, Error>> {
        let mut results = Vec::with_capacity(group.entries.len());
        let written = catch_panic(|| {
            self.write_all(&group.entries, &group.messages, &mut results);
            Ok(())
        });
        if let Err(panic) = written {
            let error = Arc::new(failed(panic));
            results.resize_with(group.entries.len(), || Err(of_all(&error)));
        }
        results
    }
}

pub(crate) fn failed(cause: BoxError) -> Error {
    Error::permanent("committing messages", cause)
}

/// Creates the error of a commit for each entry of the group.
pub(crate) fn of_all(error: &Arc<Error>) -> Error {
    let doing = "committing messages in a group commit";
    let class = error.class().unwrap_or(Class::Permanent);
    Error::of_repository(doing, OfAll(Arc::clone(error)), class)
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct OfAll(#[source] Arc<Error>);
