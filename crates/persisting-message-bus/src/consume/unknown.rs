/// The treatment of a message that a consumer's event set does not know: its type is not on the
/// topic, or its version is newer than the code.
///
/// An event set asks only for its own message types, so its unknown messages are newer versions of
/// these. Messages of other types are not selected and are always skipped. This includes types that
/// the topic does not have.
///
/// Messages of types that the topic has retired are neither selected nor unknown.
///
/// If a topic or an event set has an `#[message(unknown)]` variant, such messages arrive in that
/// variant, independently of this setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnUnknown {
    /// The consumer waits before the message, without a lease, until a newer program of its name has
    /// handled the message, or until
    /// [`unknown_timeout`](crate::MessageConsumer::unknown_timeout). This counts no attempt.
    #[default]
    Wait,
    /// The consumer skips the message and counts it, see
    /// [`skipped_messages`](crate::MessageConsumer::skipped_messages).
    Skip,
}
