use std::error::Error;
use std::path::Path;

use diesel::prelude::*;
use indicatif::{ProgressBar, ProgressStyle};
use persisting_message_bus::MessageDispatcher;

use crate::file::FlightsFile;
use crate::projections::published_lines;
use crate::topic::Flights;

/// Publishes the lines that are not published yet, and returns how many messages that were.
///
/// How far it is stands in the database, and moves in the transaction that publishes the lines.
pub fn publish(
    path: &Path,
    batch: usize,
    connection: &mut SqliteConnection,
) -> Result<u64, Box<dyn Error>> {
    let progress = bar(path)?;
    let mut file = FlightsFile::open(path, |file| progress.wrap_read(file))?;
    let mut lines = lines_published(connection)?;
    file.skip(lines)?;

    let dispatcher = MessageDispatcher::<Flights>::new();
    let mut messages = Vec::new();
    let mut published = 0;
    loop {
        let read = file.read(batch.max(1), &mut messages)?;
        if read == 0 {
            break;
        }
        lines += read;
        connection.immediate_transaction(|connection| {
            set_lines_published(connection, lines)?;
            dispatcher.dispatch_batch(connection, &messages)
        })?;
        published += messages.len() as u64;
        progress.set_message(published.to_string());
        messages.clear();
    }
    progress.finish_and_clear();
    Ok(published)
}

fn lines_published(connection: &mut SqliteConnection) -> Result<u64, Box<dyn Error>> {
    let lines = published_lines::table
        .select(published_lines::lines)
        .first::<i64>(connection)
        .optional()?;
    Ok(u64::try_from(lines.unwrap_or(0))?)
}

fn set_lines_published(connection: &mut SqliteConnection, lines: u64) -> QueryResult<usize> {
    diesel::replace_into(published_lines::table)
        .values((
            published_lines::id.eq(1),
            published_lines::lines.eq(lines as i64),
        ))
        .execute(connection)
}

fn bar(path: &Path) -> Result<ProgressBar, Box<dyn Error>> {
    let size = path
        .metadata()
        .map_err(|cause| format!("{}: {cause}", path.display()))?;
    let style = ProgressStyle::with_template("publishing {bar:40} {percent:>3}% {msg} messages")?;
    Ok(ProgressBar::new(size.len()).with_style(style))
}
