/// What a consumer does with a message that its event set does not know: one of a type that the
/// topic does not have, or of a version that is newer than the code.
///
/// An event set asks for its own message types only, so what is unknown to it are newer versions of
/// these. Other types, those that the topic does not have included, are not what it chose and are
/// passed over in any case.
///
/// A topic or an event set with an `#[message(unknown)]` variant gets such messages in that variant, whatever
/// this says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UnknownMessages {
    /// Stop in front of it with an error.
    #[default]
    Fail,
    /// Pass over it and count it, see
    /// [`skipped_messages`](crate::MessageConsumer::skipped_messages).
    Skip,
}
