use std::error::Error;
use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};
use persisting_message_bus::MessageDispatcher;

use crate::file::FlightsFile;
use crate::store::Store;
use crate::topic::Flights;

/// Publishes the lines that are not published yet, and returns the number of messages.
///
/// The database stores the number of published lines. It changes in the transaction that publishes
/// the lines.
pub fn publish<C: Store>(
    path: &Path,
    batch: usize,
    connection: &mut C,
) -> Result<u64, Box<dyn Error>> {
    let progress = bar(path)?;
    let mut file = FlightsFile::open(path, |file| progress.wrap_read(file))?;
    let mut lines = u64::try_from(connection.lines_published()?.unwrap_or(0))?;
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
        let number = i64::try_from(lines)?;
        // The transaction writes first, so that it waits for other writers on SQLite.
        connection.in_transaction(|connection| {
            connection.set_lines_published(number)?;
            dispatcher.dispatch_batch(connection, &messages)
        })?;
        published += messages.len() as u64;
        progress.set_message(published.to_string());
        messages.clear();
    }
    progress.finish_and_clear();
    Ok(published)
}

fn bar(path: &Path) -> Result<ProgressBar, Box<dyn Error>> {
    let size = path
        .metadata()
        .map_err(|cause| format!("{}: {cause}", path.display()))?;
    let style = ProgressStyle::with_template("publishing {bar:40} {percent:>3}% {msg} messages")?;
    Ok(ProgressBar::new(size.len()).with_style(style))
}
