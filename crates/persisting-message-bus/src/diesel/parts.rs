use crate::RawMessage;

/// Where a statement ends, so that its values do not take much memory at once, and it stays below what servers
/// take in one packet: 16 MiB.
pub(super) const MOST_BYTES: usize = 4 * 1024 * 1024;

/// The messages in parts, of which each is a statement. Of so many as a statement may have, `rows_of` says how
/// many it has: of few numbers, since each has a text of its own, which is prepared once per connection.
pub(super) fn in_parts(
    messages: &[RawMessage],
    most_rows: usize,
    rows_of: impl Fn(usize) -> usize,
) -> impl Iterator<Item = &[RawMessage]> {
    let mut rest = messages;
    std::iter::from_fn(move || {
        let (part, later) = rest.split_at(rows_of(fitting(rest, most_rows)));
        rest = later;
        (!part.is_empty()).then_some(part)
    })
}

fn fitting(messages: &[RawMessage], most_rows: usize) -> usize {
    let mut bytes = 0;
    let fitting = messages.iter().take(most_rows).take_while(|message| {
        let first = bytes == 0;
        bytes += bytes_of(message);
        first || bytes <= MOST_BYTES
    });
    fitting.count()
}

pub(super) fn bytes_of(message: &RawMessage) -> usize {
    message.payload.len() + message.headers.len()
}
