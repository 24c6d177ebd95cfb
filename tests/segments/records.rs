//! What the tellers of all processes have recorded, and the verdict on it.

use std::collections::{BTreeMap, BTreeSet};

/// The numbers of each order's messages, in the order in which they were published.
pub type Published = BTreeMap<u64, Vec<u64>>;

/// A message that a teller has begun. Records of all processes stand in one file, in the order in which
/// they were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    pub process: u32,
    pub order: u64,
    pub number: u64,
    pub token: i64,
}

impl Record {
    pub fn to_line(self) -> String {
        let Self {
            process,
            order,
            number,
            token,
        } = self;
        format!("{process} {order} {number} {token}\n")
    }

    pub fn of_line(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let mut next = || words.next();
        Some(Self {
            process: next()?.parse().ok()?,
            order: next()?.parse().ok()?,
            number: next()?.parse().ok()?,
            token: next()?.parse().ok()?,
        })
    }
}

/// Adds messages to those that are published.
pub fn add(published: &mut Published, messages: impl IntoIterator<Item = (u64, u64)>) {
    for (order, number) in messages {
        published.entry(order).or_default().push(number);
    }
}

/// What was handled more than once.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// How many messages of each process were handled again under a later lease.
    pub repeated: BTreeMap<u32, usize>,
    /// How many messages each process has begun after the lease had a later holder.
    pub late: BTreeMap<u32, usize>,
}

/// The last messages of an order, as the records show them.
#[derive(Debug, Default)]
struct Last {
    /// How many messages are handled.
    handled: usize,
    process: u32,
    token: i64,
}

/// Checks that all messages of each order were handled in their order. They may go back only under a
/// later lease, to messages of a process that was disturbed. Only such a process may be late.
pub fn judge(records: &[Record], published: &Published, disturbed: &[u32]) -> Verdict {
    let disturbed: BTreeSet<u32> = disturbed.iter().copied().collect();
    let mut verdict = Verdict::default();
    let mut orders: BTreeMap<u64, Last> = BTreeMap::new();
    for record in records {
        let numbers = &published[&record.order];
        let at = numbers.binary_search(&record.number).expect("a number");
        let last = orders.entry(record.order).or_default();
        if record.token < last.token {
            assert!(disturbed.contains(&record.process), "late: {record:?}");
            *verdict.late.entry(record.process).or_default() += 1;
            continue;
        }
        assert!(at <= last.handled, "skipped before {record:?}: {last:?}");
        if at < last.handled {
            let is_later = record.token > last.token;
            let is_excused = is_later && disturbed.contains(&last.process);
            assert!(is_excused, "repeated: {record:?} after {last:?}");
            *verdict.repeated.entry(last.process).or_default() += last.handled - at;
        }
        let is_same = record.token != last.token || record.process == last.process;
        assert!(is_same, "two holders of a lease: {record:?}, {last:?}");
        *last = Last {
            handled: at + 1,
            process: record.process,
            token: record.token,
        };
    }
    for (order, numbers) in published {
        let handled = orders.get(order).map_or(0, |last| last.handled);
        assert_eq!(handled, numbers.len(), "messages of order {order}");
    }
    verdict
}

/// Checks that each message had its effect exactly once, and that those of each order came in their
/// order.
pub fn assert_exactly_once(effects: Vec<(u64, u64)>, published: &Published) {
    let mut found = Published::new();
    add(&mut found, effects);
    for (order, numbers) in published {
        assert_eq!(found.get(order), Some(numbers), "effects of order {order}");
    }
    assert_eq!(found.len(), published.len());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge_lines(lines: &str, disturbed: &[u32]) -> Verdict {
        let published = Published::from([(7, vec![1, 4, 9])]);
        let records: Vec<_> = lines.split(", ").filter_map(Record::of_line).collect();
        judge(&records, &published, disturbed)
    }

    #[test]
    fn a_disturbed_process_is_repeated_and_late() {
        let lines = "1 7 1 3, 1 7 4 3, 2 7 1 4, 1 7 9 3, 2 7 4 4, 2 7 9 4";
        let verdict = judge_lines(lines, &[1]);
        assert_eq!(verdict.repeated, BTreeMap::from([(1, 2)]));
        assert_eq!(verdict.late, BTreeMap::from([(1, 1)]));
    }

    #[test]
    #[should_panic(expected = "repeated")]
    fn no_other_process_is_repeated() {
        judge_lines("1 7 1 3, 1 7 4 3, 2 7 1 4, 2 7 4 4, 2 7 9 4", &[2]);
    }

    #[test]
    #[should_panic(expected = "repeated")]
    fn nothing_is_repeated_under_one_lease() {
        judge_lines("1 7 1 3, 1 7 4 3, 1 7 1 3, 1 7 4 3, 1 7 9 3", &[1]);
    }

    #[test]
    #[should_panic(expected = "skipped")]
    fn nothing_is_skipped() {
        judge_lines("1 7 1 3, 1 7 9 3", &[1]);
    }

    #[test]
    #[should_panic(expected = "two holders")]
    fn a_lease_has_one_holder() {
        judge_lines("1 7 1 3, 2 7 4 3, 1 7 9 3", &[1, 2]);
    }

    #[test]
    #[should_panic(expected = "messages of order 7")]
    fn nothing_is_left_out() {
        judge_lines("1 7 1 3", &[]);
    }
}
