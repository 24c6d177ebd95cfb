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

/// The messages of an order, as the records show them.
struct Order {
    /// Its steps, and its payments.
    topics: [OnTopic; 2],
    /// The last record that was not late.
    last: Option<Record>,
}

/// The messages of an order on one topic.
#[derive(Default)]
struct OnTopic {
    numbers: Vec<u64>,
    /// How many messages are handled.
    handled: usize,
    /// The last record that was not late.
    last: Option<Record>,
}

impl Order {
    fn of(numbers: &[u64], payments: &BTreeSet<u64>) -> Self {
        let numbers = numbers.iter().copied();
        let (paid, steps): (Vec<_>, Vec<_>) = numbers.partition(|it| payments.contains(it));
        let topics = [steps, paid].map(|numbers| OnTopic {
            numbers,
            ..OnTopic::default()
        });
        Self { topics, last: None }
    }

    /// Notes a message, and checks that none before it is left out, on either topic. If its topic goes
    /// back to it, returns how many messages come again, and the last one that was handled before.
    fn handle(&mut self, record: Record, is_payment: bool) -> Option<(usize, Record)> {
        let own = usize::from(is_payment);
        let other = &self.topics[1 - own];
        let next = other.numbers.get(other.handled);
        let is_in_order = next.is_none_or(|next| *next > record.number);
        assert!(is_in_order, "skipped {next:?} before {record:?}");
        self.last = Some(record);
        self.topics[own].handle(record)
    }
}

impl OnTopic {
    fn handle(&mut self, record: Record) -> Option<(usize, Record)> {
        let at = self.numbers.binary_search(&record.number);
        let at = at.expect("a number of the topic");
        let last = self.last.replace(record);
        assert!(at <= self.handled, "skipped before {record:?}: {last:?}");
        let again = self.handled - at;
        self.handled = at + 1;
        last.filter(|_| again > 0).map(|last| (again, last))
    }
}

/// Checks that all messages of each order were handled in their order. They may go back only under a
/// later lease, to messages of a process that was disturbed. Only such a process may be late.
pub fn judge(records: &[Record], published: &Published, disturbed: &[u32]) -> Verdict {
    judge_topics(records, published, &BTreeSet::new(), disturbed)
}

/// Checks the same if these messages are payments, and all others steps. The order is that of the
/// messages of both topics. Each topic has a cursor of its own, so it goes back on its own.
pub fn judge_topics(
    records: &[Record],
    published: &Published,
    payments: &BTreeSet<u64>,
    disturbed: &[u32],
) -> Verdict {
    let disturbed: BTreeSet<u32> = disturbed.iter().copied().collect();
    let mut verdict = Verdict::default();
    let orders = published.iter();
    let orders = orders.map(|(order, numbers)| (*order, Order::of(numbers, payments)));
    let mut orders: BTreeMap<_, _> = orders.collect();
    for record in records {
        let order = orders.get_mut(&record.order).expect("an order");
        let numbers = &published[&record.order];
        numbers.binary_search(&record.number).expect("a number");
        let last = order.last.unwrap_or(*record);
        if record.token < last.token {
            assert!(disturbed.contains(&record.process), "late: {record:?}");
            *verdict.late.entry(record.process).or_default() += 1;
            continue;
        }
        let is_same = record.token != last.token || record.process == last.process;
        assert!(is_same, "two holders of a lease: {record:?}, {last:?}");
        if let Some((again, before)) = order.handle(*record, payments.contains(&record.number)) {
            let is_later = record.token > before.token;
            let is_excused = is_later && disturbed.contains(&before.process);
            assert!(is_excused, "repeated: {record:?} after {before:?}");
            *verdict.repeated.entry(before.process).or_default() += again;
        }
    }
    for (order, Order { topics, .. }) in orders {
        for topic in topics {
            let all = topic.numbers.len();
            assert_eq!(topic.handled, all, "messages of order {order}");
        }
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
        judge_with_payments(lines, &[], disturbed)
    }

    fn judge_with_payments(lines: &str, payments: &[u64], disturbed: &[u32]) -> Verdict {
        let published = Published::from([(7, vec![1, 4, 9])]);
        let records: Vec<_> = lines.split(", ").filter_map(Record::of_line).collect();
        let payments = payments.iter().copied().collect();
        judge_topics(&records, &published, &payments, disturbed)
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

    /// The first process has stored the cursor of one topic when it is killed.
    #[test]
    fn each_topic_goes_back_on_its_own() {
        for (payments, again) in [([4], "2 7 4 4"), ([9], "2 7 9 4")] {
            let lines = format!("1 7 1 3, 1 7 4 3, 1 7 9 3, {again}");
            let verdict = judge_with_payments(&lines, &payments, &[1]);
            assert_eq!(verdict.repeated, BTreeMap::from([(1, 1)]));
        }
    }

    #[test]
    fn both_topics_go_back() {
        let lines = "1 7 1 3, 1 7 4 3, 1 7 9 3, 2 7 1 4, 2 7 4 4, 2 7 9 4";
        let verdict = judge_with_payments(lines, &[4], &[1]);
        assert_eq!(verdict.repeated, BTreeMap::from([(1, 3)]));
    }

    #[test]
    #[should_panic(expected = "skipped Some(4)")]
    fn a_step_waits_for_an_earlier_payment() {
        judge_with_payments("1 7 1 3, 1 7 9 3, 1 7 4 3", &[4], &[1]);
    }

    #[test]
    #[should_panic(expected = "skipped Some(4)")]
    fn a_payment_waits_for_an_earlier_step() {
        judge_with_payments("1 7 1 3, 1 7 9 3, 1 7 4 3", &[9], &[1]);
    }

    #[test]
    #[should_panic(expected = "repeated")]
    fn no_topic_goes_back_under_one_lease() {
        judge_with_payments("1 7 1 3, 1 7 4 3, 1 7 9 3, 1 7 4 3", &[4], &[1]);
    }
}
