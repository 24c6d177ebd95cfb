use std::sync::Arc;
use std::time::{Duration, Instant};

use super::queue::{Entry, Group};
use crate::consumer::guarded;
use crate::error::class::Class;
use crate::{Duplicates, Error, HandlerError, MessageRepository, RawMessage, Transactions};

/// Servers and what stands in front of them end connections that nobody uses.
const LONGEST_IDLE: Duration = Duration::from_secs(30);

const IN_TRANSACTION: &str = "the coalescer was given a connection that is in a transaction, in which \
    nothing would be committed";

/// Commits groups.
pub(super) trait Write: Send {
    /// Commits a group, and says what became of each entry.
    fn write(&mut self, group: &Group) -> Vec<Result<usize, Error>>;
}

/// Commits on a connection, which it opens when it is needed.
pub(super) struct Writer<R, F> {
    connect: Arc<F>,
    /// And when it was used last.
    repository: Option<(R, Instant)>,
}

impl<R, F, E> Writer<R, F>
where
    R: MessageRepository + Transactions,
    F: Fn() -> Result<R, E>,
    E: Into<HandlerError>,
{
    pub(super) fn new(connect: Arc<F>) -> Self {
        Self {
            connect,
            repository: None,
        }
    }

    /// Commits the messages of all entries together. If one of them is refused, those of each half: so
    /// each gets its own error, and no one the error of others.
    fn write_all(
        &mut self,
        entries: &[Entry],
        messages: &[RawMessage],
        results: &mut Vec<Result<usize, Error>>,
    ) {
        let alone = entries.len() == 1;
        // Where nobody's message was there before, it does not matter what is to become of such ones.
        let duplicates = entries.first().filter(|_| alone);
        let duplicates = duplicates.map_or(Duplicates::Fail, |entry| entry.duplicates);
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

    fn persist(&mut self, messages: &[RawMessage], duplicates: Duplicates) -> Result<usize, Error> {
        let mut repository = self.repository()?;
        let persisted = guarded(|| {
            let result = repository.persist(messages, duplicates);
            // After an error of the database, or in a transaction, it is of no use any more.
            let is_good = !matches!(&result, Err(error) if error.is_of_repository());
            let kept = is_good && repository.open_transactions() == 0;
            Ok((result, kept.then_some(repository)))
        });
        let (result, repository) = persisted.unwrap_or_else(|panic| (Err(failed(panic)), None));
        self.repository = repository.map(|repository| (repository, Instant::now()));
        result
    }

    /// The connection at hand, or a new one.
    fn repository(&mut self) -> Result<R, Error> {
        if let Some((repository, used)) = self.repository.take()
            && used.elapsed() < LONGEST_IDLE
        {
            return Ok(repository);
        }
        let connected = guarded(|| {
            let mut repository = (self.connect)().map_err(Into::into)?;
            let open = repository.open_transactions();
            Ok((repository, open))
        });
        let doing = "connecting, to commit messages; nothing was written";
        match connected {
            Ok((repository, 0)) => Ok(repository),
            Ok(_) => Err(failed(IN_TRANSACTION.into())),
            Err(cause) => Err(Error::repository(doing, cause, true)),
        }
    }
}

impl<R, F, E> Write for Writer<R, F>
where
    R: MessageRepository + Transactions + Send,
    F: Fn() -> Result<R, E> + Send + Sync,
    E: Into<HandlerError>,
{
    fn write(&mut self, group: &Group) -> Vec<Result<usize, Error>> {
        let mut results = Vec::with_capacity(group.entries.len());
        let written = guarded(|| {
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

fn failed(cause: HandlerError) -> Error {
    Error::repository("committing messages", cause, false)
}

/// The error of a commit, for each of those whose messages were in it.
fn of_all(error: &Arc<Error>) -> Error {
    let doing = "committing messages together with others";
    let class = error.class().unwrap_or(Class::Lasting);
    Error::of_repository(doing, OfAll(Arc::clone(error)), class)
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct OfAll(#[source] Arc<Error>);
