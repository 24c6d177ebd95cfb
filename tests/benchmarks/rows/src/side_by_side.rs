use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use crate::{Done, Failure};

/// Runs a closure for each connection, all at once in separate threads. Each closure returns its
/// number of messages.
pub fn side_by_side<C: Send>(
    connections: &mut [C],
    work: impl Fn(&mut C, usize) -> Result<usize, Failure> + Sync,
) -> Result<Done, Failure> {
    let begin = Barrier::new(connections.len() + 1);
    thread::scope(|scope| {
        let (begin, work) = (&begin, &work);
        let threads = connections.iter_mut().enumerate();
        let threads = threads.map(|(which, connection)| {
            scope.spawn(move || {
                begin.wait();
                work(connection, which)
            })
        });
        let threads: Vec<_> = threads.collect();
        begin.wait();
        let begun = Instant::now();
        let worked = threads.into_iter().map(|thread| {
            let worked = thread.join();
            worked.map_err(|_| "a thread panicked".into()).flatten()
        });
        let messages = worked.sum::<Result<_, Failure>>()?;
        Ok(Done::since(begun, messages))
    })
}
