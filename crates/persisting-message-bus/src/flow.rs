use std::collections::{HashMap, HashSet};
use std::fmt;

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use crate::correlation::causation_id;
use crate::{Error, MessageSource, Position, StoredMessage};

/// The messages of a flow: the one that has started it, and all that it has caused, on all topics.
///
/// ```
/// use persisting_message_bus::memory::InMemoryMessageBus;
/// use persisting_message_bus::{Flow, MessageDispatcher, Topic};
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
    /// Each message behind its cause; of the same cause, the lowest position first.
    pub messages: Vec<FlowMessage>,
    /// Whether these are all of its messages, and not only the first [`MOST`](Self::MOST).
    pub is_complete: bool,
}

/// A message in a flow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FlowMessage {
    /// Where it stands.
    pub position: Position,
    /// Its topic.
    pub topic: String,
    /// The wire name of its type.
    pub message_type: String,
    /// Its id.
    pub message_id: Uuid,
    /// The message that is its direct cause.
    pub causation_id: Option<Uuid>,
    /// When it was recorded.
    pub published_at: DateTime<Utc>,
    /// How many causes of the flow are behind it; zero where it has none there.
    pub depth: usize,
}

impl Flow {
    /// How many messages are read of a flow: 10,000.
    pub const MOST: usize = 10_000;

    /// Reads the flow of this id, which is that of its first message if it came from nowhere else. It is
    /// empty where there is no such flow.
    ///
    /// # Errors
    ///
    /// When the source cannot be read, or knows no flows.
    pub fn read<B>(bus: &mut B, correlation_id: &str) -> Result<Self, Error>
    where
        B: MessageSource + ?Sized,
    {
        let mut messages = bus.flow_messages(correlation_id, Self::MOST + 1)?;
        messages.sort_by_key(|message| message.position);
        let is_complete = messages.len() <= Self::MOST;
        messages.truncate(Self::MOST);
        Ok(Self {
            correlation_id: correlation_id.to_owned(),
            messages: in_order(&messages),
            is_complete,
        })
    }
}

impl FlowMessage {
    pub(crate) fn of(stored: &StoredMessage<'_>) -> Self {
        Self {
            position: stored.position,
            topic: stored.topic.to_owned(),
            message_type: stored.message_type.to_owned(),
            message_id: stored.message_id,
            causation_id: causation_id(stored.headers),
            published_at: stored.published_at,
            depth: 0,
        }
    }
}

/// A line for each message, behind as many spaces as it is deep.
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

/// Puts each message behind its cause. Whatever the causes say, every message comes once.
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
    // Those that cause each other have no root.
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
    use super::*;

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
    fn each_message_stands_behind_its_cause() {
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
    fn those_that_cause_each_other_come_once() {
        let messages = vec![
            message(1, Some(2)),
            message(2, Some(1)),
            message(3, Some(3)),
        ];
        assert_eq!(ordered(messages), [(1, 0), (2, 1), (3, 0)]);
    }
}
