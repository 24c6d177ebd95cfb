use std::collections::BTreeSet;

use persisting_message_bus::backend::{MAX_NAME_LENGTH, MessageSource};
use persisting_message_bus::operate::Flow;
use persisting_message_bus::{Correlation, Headers, MessageDispatcher};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};

use super::super::{orders, stored};

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// Dispatches three orders, with the correlation set in each way.
fn dispatch_in_every_way<D: Database>(bus: &mut D::Bus, id: &str) {
    let correlation = Correlation::of_flow(id);
    let by_field = Correlation {
        correlation_id: Some(id.to_owned()),
        ..Correlation::default()
    };
    let order = OrderPlaced::number(1);
    correlation
        .scope(|| orders().dispatch(bus, &order))
        .unwrap();
    by_field.scope(|| orders().dispatch(bus, &order)).unwrap();
    MessageDispatcher::<Orders>::new()
        .with_decorator(correlation)
        .dispatch(bus, &order)
        .unwrap();
    let mut headers = Headers::new();
    headers.set_correlation_id(id);
    orders().dispatch_with(bus, &order, headers).unwrap();
}

pub fn any_correlation_id_is_accepted_and_found<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let crabs = |count| "\u{1f980}".repeat(count);
    let ids = [
        crabs(MAX_NAME_LENGTH),
        crabs(MAX_NAME_LENGTH + 1),
        crabs(MAX_NAME_LENGTH + 2),
        "x".repeat(1_000_000),
        "a\0b".to_owned(),
        "ab\n".to_owned(),
        "ab".to_owned(),
        " ab".to_owned(),
        "ab ".to_owned(),
        "\u{7f}\"'\\?%s".to_owned(),
    ];
    for id in &ids {
        dispatch_in_every_way::<D>(&mut bus, id);
    }
    let mut forms = BTreeSet::new();
    for id in &ids {
        let flow = Flow::read(&mut bus, id).unwrap();
        assert_eq!(flow.messages.len(), 4, "{id:.60?}");
        assert_eq!(bus.flow_messages(id, 10).unwrap().len(), 4);
        let all = stored(&mut bus, "orders");
        let at = flow.messages[0].position;
        let (_, message) = all.iter().find(|(position, _)| *position == at).unwrap();
        let form = message.correlation_id.clone().unwrap();
        assert!(form.chars().count() <= MAX_NAME_LENGTH);
        assert_eq!(Flow::read(&mut bus, &form).unwrap().messages, flow.messages);
        forms.insert(form);
    }
    assert_eq!(forms.len(), ids.len());
    assert!(forms.contains(&ids[0]) && forms.contains("ab"));
}

pub fn an_empty_correlation_id_starts_a_flow<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    for id in ["", " ", "\0", "\r\n"] {
        dispatch_in_every_way::<D>(&mut bus, id);
        assert!(Flow::read(&mut bus, id).unwrap().messages.is_empty());
    }
    let messages = stored(&mut bus, "orders");
    assert_eq!(messages.len(), 16);
    for (_, message) in messages {
        assert_eq!(message.correlation_id, None);
        assert!(!message.headers.contains("__correlation_id"));
        let id = message.message_id.to_string();
        assert_eq!(Flow::read(&mut bus, &id).unwrap().messages.len(), 1);
    }
}

pub fn an_invalid_traceparent_is_left_out<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let order = OrderPlaced::number(1);
    for (trace, is_valid) in [
        (TRACE.to_owned(), true),
        (TRACE.replacen("00", "01", 1) + "-more", true),
        (String::new(), false),
        ("\0".to_owned(), false),
        (TRACE.to_uppercase(), false),
        (TRACE.to_owned() + "-more", false),
        (TRACE.replacen("00", "ff", 1), false),
        ("x".repeat(1_000_000), false),
    ] {
        let correlation = Correlation::of_flow("request 1").with_traceparent(&*trace);
        assert_eq!(correlation.traceparent.is_some(), is_valid, "{trace:.60?}");
        let by_field = Correlation {
            traceparent: Some(trace.clone()),
            ..Correlation::of_flow("request 2")
        };
        for correlation in [correlation, by_field] {
            correlation
                .scope(|| orders().dispatch(&mut bus, &order))
                .unwrap();
            let (_, message) = stored(&mut bus, "orders").pop().unwrap();
            let headers: serde_json::Value = serde_json::from_str(&message.headers).unwrap();
            let kept = headers.get("traceparent").and_then(|kept| kept.as_str());
            assert_eq!(kept, is_valid.then_some(&*trace));
        }
    }
}
