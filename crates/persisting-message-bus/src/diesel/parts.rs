use crate::RawMessage;

/// Where a statement ends, so that its values do not take much memory at once.
pub(super) const MOST_BYTES: usize = 4 * 1024 * 1024;

/// What a row takes besides its texts, at most: id, version and time, and how long each value is.
const AROUND_TEXTS: usize = 128;

/// How much a statement may have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Most {
    pub(super) rows: usize,
    pub(super) bytes: usize,
}

/// The messages in parts, of which each is a statement. Of so many as a statement may have, `rows_of` says how
/// many it has: of few numbers, since each has a text of its own, which is prepared once per connection.
pub(super) fn in_parts(
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

/// How much of a statement a message takes, at most.
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
