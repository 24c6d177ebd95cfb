//! Which message to blame for a process that died: the failure policy is applied to the guilty
//! message only, after a bounded number of deaths.

use persisting_message_bus_models::check::{all_are_wanted, control, holds};
use persisting_message_bus_models::deaths::Step::*;
use persisting_message_bus_models::deaths::*;

/// Two consumers in one process. The second message of the first consumer ends the process.
const TWO: Deaths = Deaths {
    consumers: 2,
    processes: 1,
    messages: 2,
    page_size: 2,
    deadly: Some(2),
    kills: 0,
    losses: 0,
    expiries: 0,
    attempts: 2,
    mechanisms: Mechanisms::ALL,
};

#[test]
fn a_deadly_message() {
    for deadly in 1..=3 {
        let bounds = format!("2 consumers in a process, 3 messages, message {deadly} is deadly");
        let deaths = Deaths {
            deadly: Some(deadly),
            messages: 3,
            page_size: 3,
            ..TWO
        };
        holds(&bounds, deaths);
    }
}

#[test]
fn processes_that_are_killed_and_connections_that_are_lost() {
    holds(
        "2 consumers in a process, a kill, a loss",
        Deaths {
            kills: 1,
            losses: 1,
            ..TWO
        },
    );
    holds(
        "2 consumers in a process, 2 losses",
        Deaths { losses: 2, ..TWO },
    );
}

#[test]
fn two_processes() {
    let two = Deaths {
        processes: 2,
        expiries: 1,
        ..TWO
    };
    holds("2 consumers in 2 processes, a lease expires", two);
    holds(
        "2 consumers in 2 processes, a loss",
        Deaths {
            losses: 1,
            expiries: 0,
            ..two
        },
    );
}

#[test]
fn where_no_message_is_guilty() {
    holds(
        "2 innocent consumers in a process, a kill, 2 losses",
        Deaths {
            deadly: None,
            kills: 1,
            losses: 2,
            ..TWO
        },
    );
}

#[test]
fn larger_bounds() {
    if !all_are_wanted() {
        return;
    }
    holds(
        "2 consumers in 2 processes, a kill, a lease expires",
        Deaths {
            processes: 2,
            kills: 1,
            expiries: 1,
            attempts: 3,
            ..TWO
        },
    );
}

/// The process dies without end.
#[test]
fn without_the_note() {
    let dies: &[Step] = &[
        Takes(0, 0),
        NotesWhatIsHandedOut(0, 0),
        Handles(0, 0),
        Handles(0, 0),
    ];
    control(
        "no note",
        TWO,
        |it| it.note = false,
        DEATHS_ARE_BOUNDED,
        &[dies; 4],
    );
}

#[test]
fn with_the_note_after_the_first_message() {
    let dies: &[Step] = &[Takes(0, 0), NotesWhatIsHandedOut(0, 0), Handles(0, 0)];
    let deadly = Some(1);
    control(
        "note after the first message",
        Deaths { deadly, ..TWO },
        |it| it.note_first = false,
        DEATHS_ARE_BOUNDED,
        &[dies; 4],
    );
}

#[test]
fn with_a_note_that_stays() {
    control(
        "note stays when the cursor moves",
        Deaths {
            deadly: None,
            kills: 2,
            ..TWO
        },
        |it| it.note_goes = false,
        ONLY_WHAT_IS_HANDED_OUT_COUNTS,
        &[
            &[Takes(0, 0), NotesWhatIsHandedOut(0, 0), IsKilled(0)],
            &[Takes(0, 0), NotesWhatIsHandedOut(0, 0), Handles(0, 0)],
            &[StoresCursor(0, 0), IsKilled(0)],
            &[Takes(0, 0), RecordsAttempt(0, 0)],
        ],
    );
}

#[test]
fn where_a_page_is_an_attempt() {
    control(
        "a page is an attempt of its first message",
        TWO,
        |it| it.page_is_no_attempt = false,
        ONLY_THE_GUILTY_IS_BLAMED,
        &[
            &[Takes(0, 0), NotesWhatIsHandedOut(0, 0), Handles(0, 0)],
            &[Takes(0, 1), NotesWhatIsHandedOut(0, 1)],
            &[Handles(0, 0)],
            &[Takes(0, 0), RecordsAttempt(0, 0)],
            &[NotesWhatIsHandedOut(0, 0), Handles(0, 0)],
            &[StoresCursor(0, 0), NotesWhatIsHandedOut(0, 0)],
            &[Takes(0, 1), RecordsAttempt(0, 1)],
            &[Handles(0, 0)],
            &[Takes(0, 1), RecordsAttempt(0, 1), GivesUp(0, 1)],
        ],
    );
}

#[test]
fn where_others_are_at_work_meanwhile() {
    control(
        "not alone in the process",
        TWO,
        |it| it.alone_in_process = false,
        ONLY_THE_GUILTY_IS_BLAMED,
        &[
            &[Takes(0, 0), NotesWhatIsHandedOut(0, 0), Handles(0, 0)],
            &[Takes(0, 1), NotesWhatIsHandedOut(0, 1)],
            &[Handles(0, 0)],
            &[Takes(0, 0), NotesWhatIsHandedOut(0, 0), Handles(0, 0)],
            &[StoresCursor(0, 0), NotesWhatIsHandedOut(0, 0)],
            &[Takes(0, 1), NotesWhatIsHandedOut(0, 1)],
            &[Handles(0, 0)],
            &[Takes(0, 0), RecordsAttempt(0, 0)],
            &[NotesWhatIsHandedOut(0, 0)],
            &[Takes(0, 1), RecordsAttempt(0, 1)],
            &[NotesWhatIsHandedOut(0, 1)],
            &[Handles(0, 0)],
            &[Takes(0, 1), RecordsAttempt(0, 1), GivesUp(0, 1)],
        ],
    );
}

/// A consumer has noted that a message is alone, and has lost its connection. It hands out nothing
/// when the message of another consumer ends the process.
#[test]
fn with_a_turn_that_ends_with_the_connection() {
    control(
        "turn ends with the connection",
        Deaths { losses: 2, ..TWO },
        |it| it.turn_outlasts_connection = false,
        ONLY_WHAT_IS_HANDED_OUT_COUNTS,
        &[
            &[Takes(0, 0)],
            &[Takes(0, 1), NotesWhatIsHandedOut(0, 1)],
            &[LosesConnection(0, 1)],
            &[Takes(0, 1), NotesWhatIsHandedOut(0, 1)],
            &[LosesConnection(0, 1)],
            &[NotesWhatIsHandedOut(0, 0), Handles(0, 0), Handles(0, 0)],
            &[Takes(0, 1), RecordsAttempt(0, 1)],
        ],
    );
}

#[test]
fn where_taking_ones_own_lease_again_is_an_attempt() {
    let is_lost: &[Step] = &[
        Takes(0, 0),
        NotesWhatIsHandedOut(0, 0),
        LosesConnection(0, 0),
    ];
    control(
        "own lease is a death",
        Deaths {
            deadly: None,
            losses: 2,
            ..TWO
        },
        |it| it.own_lease_is_no_death = false,
        ONLY_WHAT_IS_HANDED_OUT_COUNTS,
        &[is_lost, is_lost, &[Takes(0, 0), RecordsAttempt(0, 0)]],
    );
}
