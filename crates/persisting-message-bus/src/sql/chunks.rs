use crate::message::raw::RawMessage;

/// The number of bytes at which a statement ends, so that its values do not take much memory at
/// once.
pub(super) const MAX_BYTES: usize = 4 * 1024 * 1024;

/// The bytes that a row takes besides its texts, at most: id, version, slot, time, and the length of
/// each value.
const AROUND_TEXTS: usize = 128;

/// The maximum size of a statement.
#[derive(Debug, Clone, Copy)]
pub(super) struct Most {
    pub(super) rows: usize,
    pub(super) bytes: usize,
}

/// Splits the messages into parts, each of which becomes one statement. `rows_of` receives the
/// number of messages that a statement may have, and returns the number that it gets. `rows_of`
/// must return few different numbers: each number has its own statement text, which each connection
/// prepares once.
pub(super) fn in_chunks(
    messages: &[RawMessage],
    most: Most,
    rows_of: impl Fn(usize) -> usize,
) -> impl Iterator<Item = &[RawMessage]> {
    let mut rest = messages;
    std::iter::from_fn(move || {
        let (part, later) = rest.split_at(rows_of(fitting(rest, most)));
        rest = later;
        (!part.is_empty()).then_some(part)
    })
}

fn fitting(messages: &[RawMessage], most: Most) -> usize {
    let mut bytes = 0;
    let fitting = messages.iter().take(most.rows).take_while(|message| {
        let first = bytes == 0;
        bytes += bytes_of(message);
        first || bytes <= most.bytes
    });
    fitting.count()
}

/// Returns the number of bytes that a message takes in a statement, at most.
pub(super) fn bytes_of(message: &RawMessage) -> usize {
    let texts = [
        &*message.topic,
        &message.message_type,
        message.correlation_id.as_deref().unwrap_or_default(),
        &message.payload,
        &message.headers,
    ];
    AROUND_TEXTS + texts.map(str::len).iter().sum::<usize>()
}
