/// What happens to messages of added types that were published before the consumer wanted them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnAdded {
    /// They are not handled. The consumer handles messages of the added types after its cursor, and
    /// on an added topic those that come from now on.
    FromNow,
    /// They are handled first, from the start of the topic up to the cursor. Messages of the other
    /// types are not repeated. Then the consumer continues with all types.
    ///
    /// The hook `before_replay` is not called, and [`Message::is_replay`](crate::Message::is_replay)
    /// is false.
    Replay,
}
