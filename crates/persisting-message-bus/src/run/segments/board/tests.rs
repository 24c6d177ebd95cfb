use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::*;
use crate::position::Position;
use crate::store::segment::DividedBy;

/// Otherwise the threads would wait for ever, or end one after the other.
#[test]
fn a_panic_under_the_lock_leaves_the_board_usable() {
    let own = Own {
        owner: "me".to_owned(),
        event_set: "what this program reads".to_owned(),
    };
    let board = Board::new(Arc::new(Signals::default()), own);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _locked = board.lock();
        resume_unwind(Box::new("a defect"));
    }));
    assert!(panicked.is_err() && board.inner.is_poisoned());
    let mut inner = board.lock();
    inner.ends = Some(Ends {
        high_water_mark: Position::START,
        heads: Vec::new(),
    });
    let segment = Division::new(DividedBy::Key, 2).segment("all", 1);
    inner.ready.push_back(segment);
    drop(inner);
    let worked = board.next().map(|job| {
        board.put_back(job.id(), job.memory, Outcome::Handled(0), Next::GoOn);
        job.segment.number
    });
    assert_eq!(worked, Some(1));
    assert!(board.has_changed());
    board.end();
    assert!(board.next().is_none());
}
