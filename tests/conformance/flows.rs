use persisting_message_bus::backend::{MessageRepository, RawMessage};
use persisting_message_bus::operate::{ConsumerKey, Flow, MessageFailures, ParkedSelector};
use persisting_message_bus::{
    Correlation, FailurePolicy, Headers, Message, MessageConsumer, MessageDispatcher, OnDuplicate,
};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::topics::{OrderPlaced, OrderShipped, Orders, Paid, Payments};
use uuid::Uuid;

use super::consuming::raw;
use super::{orders, stored};

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn pay(bus: &mut impl MessageRepository, order: u64) -> Uuid {
    let payments = MessageDispatcher::<Payments>::new();
    payments.dispatch(bus, &Paid { order }).unwrap()
}

/// Pays orders with an external handler, and ships paid orders with a transactional one.
fn handle_all<D: Database>(database: &D, bus: &mut D::Bus) {
    let mut other = database.connect();
    let mut payer = MessageConsumer::<Orders>::external("payer", |message: &Message<Orders>| {
        if let Orders::OrderPlaced(placed) = message.payload() {
            pay(&mut other, placed.order);
        }
        Ok(())
    });
    let mut shipper = MessageConsumer::<Payments>::transactional(
        "shipper",
        |bus: &mut D::Bus, message: &Message<Payments>| {
            let Payments::Paid(Paid { order }) = *message.payload();
            orders().dispatch(bus, &OrderShipped { order })?;
            Ok(())
        },
    );
    for _ in 0..2 {
        payer.handle_page(bus).unwrap();
        shipper.handle_page(bus).unwrap();
    }
}

fn all(bus: &mut impl super::TestBus) -> Vec<RawMessage> {
    let mut all = stored(bus, "orders");
    all.extend(stored(bus, "payments"));
    all.sort_by_key(|(position, _)| *position);
    all.into_iter().map(|(_, message)| message).collect()
}

fn header(message: &RawMessage, name: &str) -> Option<String> {
    let headers: serde_json::Value = serde_json::from_str(&message.headers).unwrap();
    headers.get(name)?.as_str().map(str::to_owned)
}

pub fn messages_dispatched_by_a_handler_are_caused_by_its_message<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let roots: Vec<_> = (0..2)
        .map(|order| {
            orders()
                .dispatch(&mut bus, &OrderPlaced::number(order))
                .unwrap()
        })
        .collect();
    handle_all(&database, &mut bus);
    let handler = |message: &Message<Orders>| {
        assert_eq!(message.traceparent(), None);
        Ok(())
    };
    let mut untraced = MessageConsumer::<Orders>::external("untraced", handler);
    assert!(untraced.handle_page(&mut bus).unwrap() > 0);
    let messages = all(&mut bus);
    assert_eq!(messages.len(), 6);
    for (order, root) in roots.iter().enumerate() {
        let [placed, paid, shipped] = [0, 2, 4].map(|index| &messages[index + order]);
        assert_eq!(placed.message_id, *root);
        assert_eq!(placed.correlation_id, None);
        for (effect, cause) in [(paid, placed), (shipped, paid)] {
            assert_eq!(effect.correlation_id, Some(root.to_string()));
            let header = |name| header(effect, name);
            assert_eq!(header("__correlation_id"), Some(root.to_string()));
            let causation_id = header("__causation_id");
            assert_eq!(causation_id, Some(cause.message_id.to_string()));
        }
    }
    // After the handler, there is no current cause.
    assert_eq!(Correlation::current(), None);
    pay(&mut bus, 9);
    assert_eq!(all(&mut bus).last().unwrap().correlation_id, None);
}

pub fn a_flow_is_read_as_a_tree<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let root = orders()
        .dispatch(&mut bus, &OrderPlaced::number(1))
        .unwrap();
    orders()
        .dispatch(&mut bus, &OrderPlaced::number(2))
        .unwrap();
    handle_all(&database, &mut bus);
    let flow = Flow::read(&mut bus, &root.to_string()).unwrap();
    let tree: Vec<_> = flow
        .messages
        .iter()
        .map(|message| (message.message_type.as_str(), message.depth))
        .collect();
    assert_eq!(tree, [("OrderPlaced", 0), ("Paid", 1), ("OrderShipped", 2)]);
    assert_eq!(flow.messages[1].topic, "payments");
    assert_eq!(flow.messages[1].causation_id, Some(root));
    for unknown in [Uuid::now_v7().to_string(), "it's \"unknown\"".to_owned()] {
        assert!(Flow::read(&mut bus, &unknown).unwrap().messages.is_empty());
    }
}

pub fn a_flow_from_outside_is_continued<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let request = Correlation::of_flow("request 4711").with_traceparent(TRACE);
    MessageDispatcher::<Orders>::new()
        .with_decorator(request.clone())
        .dispatch(&mut bus, &OrderPlaced::number(1))
        .unwrap();
    request
        .scope(|| orders().dispatch(&mut bus, &OrderPlaced::number(2)))
        .unwrap();
    handle_all(&database, &mut bus);
    let mut traced = MessageConsumer::<Orders>::external("traced", |message: &Message<Orders>| {
        assert_eq!(message.traceparent().as_deref(), Some(TRACE));
        Ok(())
    });
    assert!(traced.handle_page(&mut bus).unwrap() > 0);
    let messages = all(&mut bus);
    assert_eq!(messages.len(), 6);
    for message in &messages {
        assert_eq!(message.correlation_id.as_deref(), Some("request 4711"));
        assert_eq!(header(message, "traceparent").as_deref(), Some(TRACE));
    }
    let flow = Flow::read(&mut bus, "request 4711").unwrap();
    let depths: Vec<_> = flow.messages.iter().map(|message| message.depth).collect();
    assert_eq!(depths, [0, 1, 2, 0, 1, 2]);
    assert!(
        Flow::read(&mut bus, "Request 4711")
            .unwrap()
            .messages
            .is_empty()
    );
}

pub fn a_long_flow_is_read_in_part<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let request = Correlation::of_flow("request 4711");
    let place = |bus: &mut D::Bus, numbers: std::ops::Range<usize>| {
        let numbers = numbers.map(|number| OrderPlaced::number(number as u64));
        request
            .scope(|| orders().dispatch_batch(bus, numbers))
            .unwrap();
    };
    place(&mut bus, 0..Flow::MAX_MESSAGES);
    let flow = Flow::read(&mut bus, "request 4711").unwrap();
    assert!(flow.is_complete);
    place(&mut bus, 0..2);
    let part = Flow::read(&mut bus, "request 4711").unwrap();
    assert!(!part.is_complete);
    assert_eq!(part.messages, flow.messages);
}

pub fn the_current_message_stays_the_cause_in_a_flow_from_outside<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let root = orders()
        .dispatch(&mut bus, &OrderPlaced::number(1))
        .unwrap();
    let request = Correlation::of_flow("request 4711");
    let decorated = MessageDispatcher::<Payments>::new().with_decorator(request.clone());
    let mut payer =
        MessageConsumer::transactional("payer", |bus: &mut D::Bus, _: &Message<Orders>| {
            decorated.dispatch(bus, &Paid { order: 1 })?;
            let around = Correlation::current();
            request.scope(|| {
                pay(bus, 2);
                Correlation::default().scope(|| pay(bus, 3));
                assert_eq!(Correlation::current(), Some(request.clone()));
            });
            assert_eq!(Correlation::current(), around);
            Ok(())
        });
    assert_eq!(payer.handle_page(&mut bus).unwrap(), 1);
    let messages = all(&mut bus);
    let flows: Vec<_> = messages[1..]
        .iter()
        .map(|message| {
            (
                message.correlation_id.as_deref(),
                header(message, "__causation_id"),
            )
        })
        .collect();
    let outside = Some("request 4711");
    let expected = [
        (outside, Some(root.to_string())),
        (outside, None),
        (None, None),
    ];
    assert_eq!(flows, expected);
}

pub fn a_failed_message_is_no_cause_and_a_redriven_one_is<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let root = orders()
        .dispatch(&mut bus, &OrderPlaced::number(1))
        .unwrap();
    let mut fails = true;
    let mut payer =
        MessageConsumer::transactional("payer", move |bus: &mut D::Bus, _: &Message<Orders>| {
            assert!(!std::mem::take(&mut fails), "no money");
            pay(bus, 1);
            Ok(())
        })
        .retry(super::failing::after(1, FailurePolicy::Park));
    payer.handle_page(&mut bus).unwrap();
    assert_eq!(Correlation::current(), None);
    assert_eq!(
        bus.redrive(
            ConsumerKey {
                consumer: "payer",
                topic: "orders"
            },
            ParkedSelector::All
        )
        .unwrap(),
        1
    );
    assert_eq!(payer.handle_page(&mut bus).unwrap(), 1);
    let paid = all(&mut bus).pop().unwrap();
    assert_eq!(paid.correlation_id, Some(root.to_string()));
    assert_eq!(header(&paid, "__causation_id"), Some(root.to_string()));
}

pub fn a_correlation_id_set_by_the_caller_is_kept<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let mut headers = Headers::new();
    headers.set_correlation_id("mine");
    let around = Correlation::of_flow("around").with_traceparent(TRACE);
    around
        .scope(|| orders().dispatch_with(&mut bus, &OrderPlaced::number(1), headers))
        .unwrap();
    let messages = all(&mut bus);
    assert_eq!(messages[0].correlation_id.as_deref(), Some("mine"));
}

pub fn malformed_flow_headers_do_not_break_a_flow<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let mut headers = Headers::new().with("traceparent", 5);
    headers.set_correlation_id("flow 1");
    orders()
        .dispatch_with(&mut bus, &OrderPlaced::number(1), headers)
        .unwrap();
    let mut strange = raw("OrderPlaced", "{\"order\":2,\"note\":\"\"}");
    strange.headers =
        r#"{"__correlation_id":[],"__causation_id":"no","traceparent":[]}"#.to_owned();
    bus.persist(&[strange.clone()], OnDuplicate::Fail).unwrap();
    handle_all(&database, &mut bus);
    let messages = all(&mut bus);
    let flow_of = |index: usize| messages[index].correlation_id.clone();
    assert_eq!(flow_of(2).as_deref(), Some("flow 1"));
    assert_eq!(flow_of(3), Some(strange.message_id.to_string()));
}

pub fn a_page_handler_chooses_the_causing_message<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let batch = (0..3).map(OrderPlaced::number);
    orders().dispatch_batch(&mut bus, batch).unwrap();
    let mut pages = MessageConsumer::<Orders>::transactional_pages(
        "payer",
        |bus: &mut D::Bus, messages: &[Message<Orders>]| {
            pay(bus, 100);
            Correlation::caused_by(&messages[1]).scope(|| pay(bus, 101));
            Ok(())
        },
    );
    assert_eq!(pages.handle_page(&mut bus).unwrap(), 3);
    let messages = all(&mut bus);
    assert_eq!(messages[3].correlation_id, None);
    let second = messages[1].message_id.to_string();
    assert_eq!(messages[4].correlation_id, Some(second));
}

pub fn a_handler_sees_the_flow_of_its_message<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let root = orders()
        .dispatch(&mut bus, &OrderPlaced::number(1))
        .unwrap();
    let mut payer = MessageConsumer::<Orders>::transactional(
        "payer",
        |bus: &mut D::Bus, message: &Message<Orders>| {
            assert_eq!(message.correlation_id(), root.to_string());
            assert_eq!(message.causation_id(), None);
            pay(bus, message.payload().order());
            Ok(())
        },
    );
    assert_eq!(payer.handle_page(&mut bus).unwrap(), 1);
    let mut reader = MessageConsumer::<Payments>::external("all", |message: &Message<Payments>| {
        assert_eq!(message.correlation_id(), root.to_string());
        assert_eq!(message.causation_id(), Some(root));
        assert!(message.headers()?.is_empty());
        Ok(())
    });
    assert_eq!(reader.handle_page(&mut bus).unwrap(), 1);
}
