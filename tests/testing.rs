//! The helpers for tests of applications: they must find the mistakes that they promise to find.

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;
use std::process::Command;

use diesel::SqliteConnection;
use persisting_message_bus::memory::InMemoryMessageBus;
use persisting_message_bus::testing::{Golden, Scenario};
use persisting_message_bus::{Message, MessageConsumer, MessageDispatcher, Topic};
use persisting_message_bus_tests::databases::{Database, Sqlite};
use persisting_message_bus_tests::topics::invoices::{InvoiceSent, Invoices, Reminded};
use persisting_message_bus_tests::topics::{OrderPlaced, Orders, Paid, Payments, TolerantOrders};

fn placed(orders: std::ops::Range<u64>) -> Vec<Orders> {
    orders
        .map(|order| OrderPlaced::number(order).into())
        .collect()
}

fn paid(orders: std::ops::Range<u64>) -> Vec<Payments> {
    orders.map(|order| Paid { order }.into()).collect()
}

fn pay(
    bus: &mut InMemoryMessageBus,
    message: &Message<Orders>,
) -> Result<(), persisting_message_bus::handler::HandlerError> {
    let order = message.payload().order();
    if order == 13 {
        return Err("an unlucky number".into());
    }
    MessageDispatcher::<Payments>::new().dispatch(bus, &Paid { order })?;
    Ok(())
}

/// Returns the text with which a closure panics.
fn complaint(of: impl FnOnce() + std::panic::UnwindSafe) -> String {
    let complaint = catch_unwind(of).unwrap_err();
    match complaint.downcast::<String>() {
        Ok(text) => *text,
        Err(text) => (*text.downcast::<&str>().unwrap()).to_owned(),
    }
}

#[test]
fn a_scenario_that_holds_passes() {
    Scenario::new()
        .given(paid(100..101))
        .given(placed(1..3))
        .when(MessageConsumer::<Orders>::transactional("payer", pay))
        .then_dispatched(paid(1..3))
        .then(|bus| assert_eq!(bus.messages.messages().len(), 5));
}

#[test]
fn a_scenario_runs_on_a_database_too() {
    let database = Sqlite::create();
    let payments = MessageDispatcher::<Payments>::new();
    let consumer = MessageConsumer::<Orders>::transactional(
        "payer",
        |connection: &mut SqliteConnection, message: &Message<Orders>| {
            payments.dispatch(
                connection,
                &Paid {
                    order: message.payload().order(),
                },
            )?;
            Ok(())
        },
    );
    Scenario::on(database.connect())
        .given(placed(1..3))
        .when(consumer)
        .then_dispatched(paid(1..3));
}

#[test]
fn other_messages_than_expected_are_shown() {
    let text = complaint(|| {
        Scenario::new()
            .given(placed(1..3))
            .when(MessageConsumer::<Orders>::transactional("payer", pay))
            .then_dispatched(paid(2..4));
    });
    for part in [
        "topic \"payments\"",
        "Paid",
        "-  \"order\": 3",
        "+  \"order\": 1",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn a_failure_is_shown_where_it_is_not_expected() {
    let run = || {
        Scenario::new()
            .given(placed(12..15))
            .when(MessageConsumer::<Orders>::transactional("payer", pay))
    };
    let text = complaint(move || drop(run().then_dispatched(paid(12..13))));
    assert!(text.contains("an unlucky number"), "{text}");
    run()
        .then_failed(|error| assert!(error.is_handler_failure()))
        .then_dispatched(paid(12..13));
    let text = complaint(|| {
        let scenario = Scenario::new().given(placed(1..2));
        let consumer = MessageConsumer::<Orders>::transactional("payer", pay);
        drop(scenario.when(consumer).then_failed(|_| {}));
    });
    assert_eq!(text, "the consumer did not fail");
}

const GOLDEN: &str = "data/invoices.golden.json";

fn invoices(path: &Path) -> Golden<Invoices> {
    Golden::new(path)
        .sample(&InvoiceSent {
            invoice: 1,
            cents: 1_250,
            currency: "EUR".to_owned(),
        })
        .sample(&Reminded { invoice: 1 })
}

#[test]
fn the_wire_form_of_invoices_has_not_changed() {
    invoices(Path::new(GOLDEN)).check();
}

/// Changes the golden file, checks against it, and returns the text of the panic.
fn complaint_after(change: impl FnOnce(String) -> String) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("invoices.json");
    fs::write(&path, change(fs::read_to_string(GOLDEN).unwrap())).unwrap();
    complaint(move || invoices(&path).check())
}

#[test]
fn a_changed_wire_form_is_shown_line_by_line() {
    for (kept, shown) in [
        ("\"version\": 3", "-      \"version\": 2"),
        ("\"cents\"", "-        \"pence\": 1250"),
        ("\"Reminded\"", "-      \"name\": \"Warned\""),
    ] {
        let before = match kept {
            "\"version\": 3" => "\"version\": 2",
            "\"cents\"" => "\"pence\"",
            _ => "\"Warned\"",
        };
        let text = complaint_after(|file| file.replacen(kept, before, 1));
        assert!(text.contains(shown), "{shown} in {text}");
        assert!(text.contains("UPDATE_GOLDEN=1"), "{text}");
    }
}

#[test]
fn a_former_wire_form_must_always_decode() {
    let with_former = |former: &str| {
        let former = former.to_owned();
        move |file: String| {
            let end = file.rfind("\n}").unwrap();
            format!("{},\n  \"former\": [{former}]\n}}\n", &file[..end])
        }
    };
    let renamed = r#"{"name": "Warned", "version": 1, "sample": {"invoice": 1}}"#;
    let text = complaint_after(with_former(renamed));
    assert!(text.contains("Warned") && text.contains("alias"), "{text}");
    let changed = r#"{"name": "Reminded", "version": 1, "sample": {"number": 1}}"#;
    let text = complaint_after(with_former(changed));
    assert!(text.contains("missing field `invoice`"), "{text}");
}

/// Golden files in which an incompatible change was accepted earlier by `UPDATE_GOLDEN`.
mod changes {
    use super::*;
    use persisting_message_bus::backend::MessageOf;
    use serde::{Deserialize, Serialize};

    #[derive(Serialize, Deserialize)]
    pub struct Renamed {
        pub total_cents: Option<i64>,
    }

    #[derive(Topic)]
    #[topic(name = "sales")]
    pub enum Sales {
        Sold(Renamed),
    }

    pub fn complaint_about(file: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sales.json");
        fs::write(&path, file).unwrap();
        let sold = Renamed {
            total_cents: Some(5),
        };
        assert_eq!(MessageOf::<Sales>::descriptor(&sold).name, "Sold");
        complaint(move || Golden::<Sales>::new(&path).sample(&sold).check())
    }
}

#[test]
fn an_optional_field_that_was_renamed_is_lost_data() {
    let text = changes::complaint_about(
        r#"{"topic": "sales",
            "messages": [{"name": "Sold", "version": 1, "sample": {"total_cents": 5}}],
            "former": [{"name": "Sold", "version": 1, "sample": {"total": 5}}]}"#,
    );
    assert!(text.contains("comes back as"), "{text}");
}

#[test]
fn an_alias_that_was_removed_orphans_messages() {
    let text = changes::complaint_about(
        r#"{"topic": "sales",
            "messages": [{"name": "Sold", "version": 1, "sample": {"total_cents": 5}}],
            "former": [{"name": "Sold", "aliases": ["Sale"], "version": 1, "sample": {"total_cents": 5}}]}"#,
    );
    assert!(text.contains("Sale is on topic"), "{text}");
}

#[test]
fn a_topic_that_was_renamed_orphans_messages() {
    let text = changes::complaint_about(
        r#"{"topic": "sells",
            "messages": [{"name": "Sold", "version": 1, "sample": {"total_cents": 5}}]}"#,
    );
    assert!(
        text.contains("\"sells\"") && text.contains("\"sales\""),
        "{text}"
    );
}

#[test]
fn a_scenario_needs_a_consumer_and_forgets_no_failure() {
    let payer = || MessageConsumer::<Orders>::transactional("payer", pay);
    let text = complaint(|| {
        Scenario::new()
            .given(placed(1..2))
            .then_dispatched(placed(1..2));
    });
    assert!(text.contains("no consumer ran"), "{text}");
    let text = complaint(move || {
        Scenario::new()
            .when(payer())
            .given(placed(1..2))
            .then(|_| {});
    });
    assert!(text.contains("ran already"), "{text}");
    let text = complaint(move || {
        let other = MessageConsumer::<Orders>::external("other", |_: &Message<Orders>| Ok(()));
        Scenario::new()
            .given(placed(13..14))
            .when(payer())
            .when(other)
            .then(|_| {});
    });
    assert!(text.contains("an unlucky number"), "{text}");
}

#[test]
fn a_scenario_takes_messages_of_a_topic_that_cannot_be_dispatched_as_such() {
    let consumer =
        MessageConsumer::<TolerantOrders>::external("all", |_: &Message<TolerantOrders>| Ok(()));
    Scenario::new()
        .given::<TolerantOrders, _>([OrderPlaced::number(1)])
        .when(consumer)
        .then_dispatched::<TolerantOrders, OrderPlaced>([]);
}

#[test]
fn a_message_without_a_sample_is_named() {
    let text = complaint(|| {
        let sent = Reminded { invoice: 1 };
        Golden::<Invoices>::new(GOLDEN).sample(&sent).check();
    });
    assert!(text.contains("InvoiceSent"), "{text}");
}

/// Runs the check with `UPDATE_GOLDEN=1` in its own process: see the test below.
#[test]
fn check_the_golden_file_of_the_environment() {
    if let Ok(path) = std::env::var("GOLDEN_FILE") {
        invoices(Path::new(&path)).check();
    }
}

#[test]
fn a_change_can_be_accepted_when_the_former_wire_form_decodes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new folder").join("invoices.json");
    let update = || {
        Command::new(std::env::current_exe().unwrap())
            .args(["check_the_golden_file_of_the_environment", "--exact"])
            .env("GOLDEN_FILE", &path)
            .env("UPDATE_GOLDEN", "1")
            .output()
            .unwrap()
            .status
            .success()
    };
    assert!(update(), "there was no file");
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        fs::read_to_string(GOLDEN).unwrap()
    );

    let version_2 = fs::read_to_string(&path)
        .unwrap()
        .replacen("\"version\": 3", "\"version\": 2", 1)
        .replacen(
            "\"cents\": 1250,\n        \"currency\": \"EUR\",",
            "\"euros\": 12.5,",
            1,
        );
    fs::write(&path, version_2).unwrap();
    assert!(update(), "version 2 still decodes");
    let file = fs::read_to_string(&path).unwrap();
    assert!(
        file.contains("\"former\"") && file.contains("\"euros\": 12.5"),
        "{file}"
    );
    invoices(&path).check();

    let unreadable = file.replace("\"euros\": 12.5", "\"dollars\": 12.5");
    fs::write(&path, &unreadable).unwrap();
    assert!(!update(), "it cannot be accepted");
    assert_eq!(fs::read_to_string(&path).unwrap(), unreadable);
    assert_eq!(Invoices::NAME, "invoices");
}
