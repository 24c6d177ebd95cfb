use crate::store::part::SlotRange;

use super::*;

const TOPIC: &str = "orders";
const BYTES: usize = 8;

fn at(position: i64) -> Position {
    Position::new(position)
}

fn id(position: i64) -> Uuid {
    Uuid::from_u128(position.unsigned_abs().into())
}

fn request(after: i64, up_to: i64) -> PageRequest<'static> {
    PageRequest {
        topic: TOPIC,
        part: Part::Whole,
        message_types: TypeFilter::All,
        after: at(after),
        up_to: at(up_to),
        limit: 100,
    }
}

fn message(position: i64) -> StoredMessage<'static> {
    StoredMessage {
        position: at(position),
        message_id: id(position),
        topic: TOPIC,
        message_type: if position % 2 == 0 { "Even" } else { "Odd" },
        message_version: 2,
        payload: "{\"n\":1}",
        headers: "!",
        published_at: DateTime::UNIX_EPOCH,
    }
}

/// The messages 3, 4, 6 and 7 of the range from 2 to 9, with that at 2.
fn ahead() -> Ahead {
    let mut ahead = Ahead::of(&request(2, 9)).preceded_by(Some(id(2)));
    for position in [3, 4, 6, 7] {
        assert!(ahead.add(&message(position)).is_continue());
    }
    ahead
}

/// Returns the positions of a page, and where it ends.
fn read(ahead: &Ahead, request: &PageRequest<'_>) -> Option<(Vec<i64>, MessageAt)> {
    let mut positions = Vec::new();
    let end = ahead.read_page(request, &mut |stored| {
        positions.push(stored.position.get());
        ControlFlow::Continue(())
    })?;
    Some((positions, end))
}

fn end(position: i64, is_message: bool) -> MessageAt {
    MessageAt {
        position: at(position),
        message_id: is_message.then(|| id(position)),
    }
}

#[test]
fn pages_within_the_range_are_read() {
    let ahead = ahead();
    for (after, up_to, positions, expected) in [
        (2, 9, vec![3, 4, 6, 7], end(9, false)),
        (2, 7, vec![3, 4, 6, 7], end(7, true)),
        (4, 6, vec![6], end(6, true)),
        (7, 9, vec![], end(9, false)),
        // As a page that begins with the message by which the cursor is recognised.
        (1, 4, vec![2, 3, 4], end(4, true)),
    ] {
        let found = read(&ahead, &request(after, up_to));
        assert_eq!(found, Some((positions, expected)), "{after} to {up_to}");
    }
}

#[test]
fn all_of_a_message_is_kept() {
    let mut found = Vec::new();
    let _end = ahead().read_page(&request(3, 4), &mut |stored| {
        found.push(stored.to_raw());
        ControlFlow::Continue(())
    });
    assert_eq!(found, [message(4).to_raw()]);
}

#[test]
fn a_page_that_is_full_or_broken_off_ends_with_its_last_message() {
    let ahead = ahead();
    let full = PageRequest {
        limit: 2,
        ..request(2, 9)
    };
    assert_eq!(read(&ahead, &full), Some((vec![3, 4], end(4, true))));
    let broken = ahead.read_page(&request(2, 9), &mut |_| ControlFlow::Break(()));
    assert_eq!(broken, Some(end(3, true)));
}

#[test]
fn types_that_are_not_selected_are_left_out() {
    let types = ["Even"];
    let even = PageRequest {
        message_types: TypeFilter::Only(&types),
        ..request(2, 9)
    };
    assert_eq!(read(&ahead(), &even), Some((vec![4, 6], end(9, false))));
    // The type of the message before the range is not known.
    let from_before = PageRequest {
        after: at(1),
        ..even
    };
    assert_eq!(read(&ahead(), &from_before), None);
}

#[test]
fn what_is_outside_of_the_range_is_not_known() {
    let ahead = ahead();
    for (after, up_to) in [(0, 9), (2, 10), (9, 12)] {
        assert_eq!(read(&ahead, &request(after, up_to)), None);
    }
    let slots = SlotRange { from: 0, to: 7 };
    let part = PageRequest {
        part: Part::Keys(slots),
        ..request(2, 9)
    };
    assert_eq!(read(&ahead, &part), None);
    assert_eq!(ahead.ids_at([at(1), at(3)]), None);
    assert_eq!(ahead.ids_at([at(3), at(10)]), None);
}

#[test]
fn ids_are_known_also_where_there_is_no_message() {
    let ahead = ahead();
    assert_eq!(
        ahead.ids_at([at(2), at(7)]),
        Some([Some(id(2)), Some(id(7))])
    );
    assert_eq!(ahead.ids_at([at(5), at(9)]), Some([None, None]));
    let pruned = Ahead::of(&request(2, 9));
    assert_eq!(pruned.ids_at([at(2), at(3)]), Some([None, None]));
    assert_eq!(read(&pruned, &request(1, 9)), Some((vec![], end(9, false))));
}

#[test]
fn there_is_room_for_few_messages() {
    let mut ahead = Ahead::of(&request(0, 99));
    let added = (1..99).take_while(|at| ahead.add(&message(*at)).is_continue());
    assert_eq!(added.count(), Ahead::MOST_MESSAGES);
    let mut ahead = Ahead::of(&request(0, 99));
    let text = "x".repeat(Ahead::MOST_BYTES - 3 * BYTES);
    let large = StoredMessage {
        payload: &text,
        headers: "",
        ..message(1)
    };
    assert!(ahead.add(&large).is_continue());
    let added = (2..99).take_while(|at| ahead.add(&message(*at)).is_continue());
    assert_eq!(added.count(), 3);
}
