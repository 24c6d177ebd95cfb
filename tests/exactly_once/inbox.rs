use persisting_message_bus::backend::TransactionControl;
use persisting_message_bus::{Error, Inbox, InboxKey};

use super::deeds::{Fate, do_it};
use super::place;
use super::sql::{Sql, effect, effects};

pub fn an_inbox_does_not_acknowledge_a_rolled_back_delivery<D: Sql>() {
    let inbox = Inbox::new(InboxKey {
        consumer: "billing",
        source: "hooks",
    })
    .unwrap();
    for deed in D::DEEDS {
        let (_database, mut bus) = D::prepare();
        let once = |bus: &mut D::Connection, sql: &str| {
            inbox.process_once(bus, "evt", |bus| {
                effect(bus, 1)?;
                do_it::<D>(bus, sql);
                Ok::<_, Error>(())
            })
        };
        let error = once(&mut bus, deed.sql).unwrap_err();
        let said = format!("{}: {error:?}", deed.sql);
        let may_be_final = !error.is_retryable();
        if deed.fate == Fate::Committed {
            assert!(may_be_final, "{said}");
        } else {
            let again = once(&mut bus, "SELECT 1").unwrap();
            assert_eq!(again, Some(()), "{said}");
            assert_eq!(effects::<D>(&mut bus, 1..2), [1], "{said}");
        }
    }
}

pub fn a_transaction_that_was_left_is_an_error<D: Sql>() {
    for deed in D::DEEDS {
        let (_database, mut bus) = D::prepare();
        let done = bus.in_transaction(|bus| {
            place(bus, 1..2);
            do_it::<D>(bus, deed.sql);
            Ok::<_, Error>(())
        });
        let error = done.unwrap_err();
        let text = error.to_string();
        let first = deed.sql.split([';', '\n']).next().unwrap_or_default();
        assert!(text.contains(first.trim()), "{text}");
        let stored = D::numbers(&mut bus, "SELECT count(*) FROM public_messages")[0];
        assert_eq!(
            stored,
            i64::from(deed.fate == Fate::Committed),
            "{}: {text}",
            deed.sql
        );
        // The connection is usable again.
        assert_eq!(bus.transaction_depth(), 0, "{}", deed.sql);
        let next = bus.in_transaction(|bus| Ok::<_, Error>(effect(bus, 5)?));
        next.unwrap();
        assert_eq!(effects::<D>(&mut bus, 5..6), [1], "{}", deed.sql);
    }
}
