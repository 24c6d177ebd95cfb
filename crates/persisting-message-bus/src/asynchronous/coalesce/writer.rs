use std::sync::Arc;

use crate::asynchronous::coalesce::connection::{Connect, Kept};
use crate::asynchronous::coalesce::queue::{Waiting, Writing};
use crate::message::raw::RawMessage;
use crate::publish::coalesce::writer::of_all;
use crate::store::repository::OnDuplicate;

/// Commits dispatches until none waits.
pub(super) async fn write_all(mut writing: Writing, connect: &Connect, most: usize) {
    // Tasks that the last commit has woken can join if they run now.
    tokio::task::yield_now().await;
    while let Some(group) = writing.take(most) {
        write_group(connect, &mut writing.kept, group).await;
    }
}

/// Commits the messages of all dispatches together. If one message is refused, commits each half by
/// itself, so that each dispatch gets its own error and never that of another one.
async fn write_group(connect: &Connect, kept: &mut Kept, mut group: Vec<Waiting>) {
    let mut parts = Vec::new();
    loop {
        let messages: Vec<RawMessage> = match &mut *group {
            [one] => std::mem::take(&mut one.messages),
            several => several
                .iter()
                .flat_map(|it| it.messages.iter().cloned())
                .collect(),
        };
        let alone = group.len() == 1;
        // If no message of the group is a duplicate, the dispatches' rules for duplicates do not matter.
        let duplicates = group.first().filter(|_| alone);
        let duplicates = duplicates.map_or(OnDuplicate::Fail, |only| only.duplicates);
        match kept.persist(connect, &messages, duplicates).await {
            result if alone => {
                // A caller that has gone needs no answer.
                let _gone = group.pop().map(|only| only.answer.send(result));
            }
            Ok(_) => {
                for waiting in group {
                    let _gone = waiting.answer.send(Ok(waiting.messages.len()));
                }
            }
            Err(error) if error.is_retryable() => {
                let error = Arc::new(error);
                for waiting in group {
                    let _gone = waiting.answer.send(Err(of_all(&error)));
                }
            }
            Err(_) => {
                let second = group.split_off(group.len() / 2);
                parts.push(second);
                parts.push(group);
            }
        }
        match parts.pop() {
            Some(part) => group = part,
            None => return,
        }
    }
}
