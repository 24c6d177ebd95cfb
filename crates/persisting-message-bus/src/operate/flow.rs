use std::collections::{HashMap, HashSet};
use std::fmt;

use serde::Serialize;

use crate::error::Error;
use crate::store::source::{FlowMessage, MessageSource};

/// The messages of a flow: the message that started it and all messages that it caused, on all
/// topics.
///
/// ```
/// use persisting_message_bus::memory::InMemoryMessageBus;
/// use persisting_message_bus::{MessageDispatcher, Topic};
/// use persisting_message_bus::operate::Flow;
/// # #[derive(serde::Serialize, serde::Deserialize)]
/// # struct OrderPlaced {}
/// # #[derive(Topic)]
/// # #[topic(name = "orders")]
/// # enum Orders { OrderPlaced(OrderPlaced) }
///
/// let mut bus = InMemoryMessageBus::default();
/// let id = MessageDispatcher::<Orders>::new().dispatch(&mut bus, &OrderPlaced {})?;
/// let flow = Flow::read(&mut bus, &id.to_string())?;
/// assert_eq!(flow.to_string(), format!("1 orders OrderPlaced {id}\n"));
/// # Ok::<(), persisting_message_bus::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Flow {
    /// Its id.
    pub correlation_id: String,
    /// Each message after its cause. Messages of the same cause are in the order of their
    /// positions.
    pub messages: Vec<FlowMessage>,
    /// Whether these are all messages of the flow. `false` if there are more than
    /// [`MAX_MESSAGES`](Self::MAX_MESSAGES).
    pub is_complete: bool,
}

impl Flow {
    /// The maximum number of messages that are read of a flow: 10,000.
    pub const MAX_MESSAGES: usize = 10_000;

    /// Reads the flow of this id. A flow that started on the bus has the id of its first message.
    /// The id of a flow from outside can be any text, as in
    /// [`Correlation::of_flow`](crate::Correlation::of_flow). The result is empty if there is no such
    /// flow.
    ///
    /// # Errors
    ///
    /// If the source cannot be read, or does not support flows.
    pub fn read<B>(bus: &mut B, correlation_id: &str) -> Result<Self, Error>
    where
        B: MessageSource + ?Sized,
    {
        let mut messages = bus.flow_messages(correlation_id, Self::MAX_MESSAGES + 1)?;
        messages.sort_by_key(|message| message.position);
        let is_complete = messages.len() <= Self::MAX_MESSAGES;
        messages.truncate(Self::MAX_MESSAGES);
        Ok(Self {
            correlation_id: correlation_id.to_owned(),
            messages: in_order(&messages),
            is_complete,
        })
    }
}

/// Writes a line for each message, indented by two spaces for each level of depth.
impl fmt::Display for Flow {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.messages.iter().try_for_each(|message| {
            writeln!(
                formatter,
                "{:depth$}{} {} {} {}",
                "",
                message.position,
                message.topic,
                message.message_type,
                message.message_id,
                depth = 2 * message.depth
            )
        })
    }
}

/// Puts each message after its cause. Every message appears once, even if the causes form a cycle.
fn in_order(messages: &[FlowMessage]) -> Vec<FlowMessage> {
    let ids: HashSet<_> = messages.iter().map(|message| message.message_id).collect();
    let mut effects: HashMap<_, Vec<_>> = HashMap::new();
    let mut roots = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        match message.causation_id.filter(|cause| ids.contains(cause)) {
            Some(cause) => effects.entry(cause).or_default().push(index),
            None => roots.push(index),
        }
    }
    let mut ordered = Vec::with_capacity(messages.len());
    let mut seen = HashSet::new();
    // Messages that cause each other have no root.
    for root in roots.into_iter().chain(0..messages.len()) {
        let mut waiting = vec![(root, 0)];
        while let Some((index, depth)) = waiting.pop() {
            if !seen.insert(index) {
                continue;
            }
            let message = &messages[index];
            let caused = effects.get(&message.message_id).into_iter().flatten();
            waiting.extend(caused.rev().map(|effect| (*effect, depth + 1)));
            ordered.push(FlowMessage {
                depth,
                ..message.clone()
            });
        }
    }
    ordered
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use uuid::Uuid;

    use super::*;
    use crate::position::Position;

    fn message(number: u128, cause: Option<u128>) -> FlowMessage {
        FlowMessage {
            position: Position::new(i64::try_from(number).unwrap_or_default()),
            topic: "orders".to_owned(),
            message_type: "OrderPlaced".to_owned(),
            message_id: Uuid::from_u128(number),
            causation_id: cause.map(Uuid::from_u128),
            published_at: DateTime::UNIX_EPOCH,
            depth: 0,
        }
    }

    fn ordered(mut messages: Vec<FlowMessage>) -> Vec<(i64, usize)> {
        messages.sort_by_key(|message| message.position);
        let ordered = in_order(&messages).into_iter();
        ordered
            .map(|message| (message.position.get(), message.depth))
            .collect()
    }

    #[test]
    fn each_message_comes_after_its_cause() {
        let messages = vec![
            message(5, Some(2)),
            message(1, None),
            message(2, Some(1)),
            message(3, Some(1)),
            message(4, Some(2)),
            message(6, Some(99)),
        ];
        let expected = [(1, 0), (2, 1), (4, 2), (5, 2), (3, 1), (6, 0)];
        assert_eq!(ordered(messages), expected);
    }

    #[test]
    fn messages_that_cause_each_other_come_once() {
        let messages = vec![
            message(1, Some(2)),
            message(2, Some(1)),
            message(3, Some(3)),
        ];
        assert_eq!(ordered(messages), [(1, 0), (2, 1), (3, 0)]);
    }
}
