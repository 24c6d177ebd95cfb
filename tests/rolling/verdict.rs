//! Checks of the records that the handlers of one consumer have left.

use std::collections::{BTreeMap, BTreeSet};

use super::letters::Program;
use super::records::Record;

/// The records of one consumer, and the messages that there were.
pub struct Verdict<'a> {
    pub consumer: &'static str,
    pub records: &'a [Record],
    pub messages: &'a [(i64, String)],
    /// The programs of the processes.
    pub programs: &'a [Program],
}

impl Verdict<'_> {
    /// Checks that no program has handled a message of a type that it does not know.
    pub fn programs_know_their_messages(&self) {
        let types: BTreeMap<_, _> = self.messages.iter().map(|(at, it)| (*at, it)).collect();
        for record in self.records {
            let (consumer, program) = (self.consumer, self.programs[record.process]);
            assert_eq!(types.get(&record.position), Some(&&record.message_type));
            let known = program.types().contains(&record.message_type.as_str());
            assert!(known, "{consumer}: {program:?} has handled {record:?}");
        }
    }

    /// Checks that the old and the new programs have handled messages.
    pub fn several_programs_took_part(&self) {
        let programs = self.records.iter().map(|record| record.process);
        let programs: BTreeSet<_> = programs.map(|it| self.programs[it].name()).collect();
        let used: BTreeSet<_> = self.programs.iter().map(|it| it.name()).collect();
        assert_eq!(programs, used, "{}", self.consumer);
    }

    /// Checks that each message was handled as often as expected.
    pub fn handled_exactly(&self, expected: impl Fn(i64, &str) -> usize) {
        self.counts_are(|position, message_type, count| count == expected(position, message_type));
    }

    /// Checks that each message was handled as often as expected, or more often after kills, and no
    /// message that is not expected. `excused` allows a message that is not expected.
    pub fn handled_at_least(
        &self,
        expected: impl Fn(i64, &str) -> usize,
        excused: impl Fn(&Record) -> bool,
    ) {
        let excused = self.records.iter().filter(|it| excused(it));
        let excused: BTreeSet<_> = excused.map(|it| it.position).collect();
        self.counts_are(
            |position, message_type, count| match expected(position, message_type) {
                0 => count == 0 || excused.contains(&position),
                least => count >= least,
            },
        );
    }

    fn counts_are(&self, right: impl Fn(i64, &str, usize) -> bool) {
        let mut counts = BTreeMap::new();
        for record in self.records {
            *counts.entry(record.position).or_default() += 1;
        }
        let counted = self.messages.iter().map(|(position, message_type)| {
            let count = counts.get(position).copied().unwrap_or_default();
            (*position, message_type.as_str(), count)
        });
        let wrong: Vec<_> = counted
            .filter(|(position, message_type, count)| !right(*position, message_type, *count))
            .collect();
        let first = &wrong[..wrong.len().min(10)];
        assert!(
            wrong.is_empty(),
            "{}: {} messages are lost or repeated. The first ones, and how often they were \
             handled: {first:?}",
            self.consumer,
            wrong.len()
        );
    }

    /// Checks that the records are in the order of the positions, except at the begin of replays.
    pub fn in_order(&self, replays: usize) {
        let pairs = self.records.windows(2);
        let back: Vec<_> = pairs
            .filter(|it| it[1].position <= it[0].position)
            .collect();
        assert!(back.len() <= replays, "{}: {back:?}", self.consumer);
    }

    /// Checks that each process has handled messages in the order of their positions, apart from
    /// repetitions.
    pub fn in_order_in_each_process(&self) {
        for process in 0..self.programs.len() {
            let (mut last, mut seen) = (0, BTreeSet::new());
            for record in self.records.iter().filter(|it| it.process == process) {
                let is_repeated = !seen.insert(record.position);
                let is_later = record.position > last;
                assert!(
                    is_repeated || is_later,
                    "{}: {record:?} after {last}",
                    self.consumer
                );
                last = last.max(record.position);
            }
        }
    }
}
