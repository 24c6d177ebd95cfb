use crate::message::topic::{EventSet, TopicFilter, WantedMessages};
use crate::store::event_set::{EventSetRecord, Types, UNKNOWN};

/// What a program reads.
#[derive(Debug)]
pub(super) struct OwnEventSet {
    pub(super) record: EventSetRecord,
    /// Its stored form. Most rows have this text, and need not be parsed.
    pub(super) text: String,
}

impl OwnEventSet {
    pub(super) fn of<S: EventSet>() -> Self {
        let topics = S::SELECTIONS.iter();
        let record = EventSetRecord {
            topics: topics
                .map(|selection| (selection.topic.to_owned(), types_of(selection)))
                .collect(),
            backfill: None,
        };
        let text = record.to_stored();
        Self { record, text }
    }
}

fn types_of(selection: &TopicFilter) -> Types {
    let owned = |name: &str| name.to_owned();
    match selection.wanted {
        WantedMessages::All => Types::Except([].into()),
        WantedMessages::Only(chosen) => {
            let names = chosen.iter().flat_map(|message| message.names());
            Types::Only(names.map(owned).collect())
        }
        WantedMessages::OnlyAndUnknown { chosen, .. } => {
            let names = chosen.iter().flat_map(|message| message.names());
            Types::Only(names.chain([UNKNOWN]).map(owned).collect())
        }
    }
}
