use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use persisting_message_bus::handler::HandlerError;
use persisting_message_bus::{Message, MessageConsumer};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::topics::Orders;
use persisting_message_bus_tests::waiting::wait_until;

use super::gate::Gate;
use super::renewals::assert_kept;
use super::{place, runner};

type Seen = Arc<Mutex<Vec<u64>>>;

pub fn consumers_of_different_names_get_everything<D: Database + Send + 'static>() {
    let database = Arc::new(D::create());
    place(&mut database.connect(), 0..1_200);
    let (sender, seen) = channel();
    let consumer = |name: &'static str| {
        let sender = sender.clone();
        MessageConsumer::<Orders>::external(name, move |message: &Message<Orders>| {
            Ok(sender.send((name, message.payload().order()))?)
        })
    };
    let running = runner(&database)
        .consumer(consumer("one"))
        .consumer(consumer("other"))
        .start();
    drop(sender);
    let all: Vec<_> = seen.iter().take(2_400).collect();
    for name in ["one", "other"] {
        let of_name = all.iter().filter(|(of, _)| *of == name);
        assert!(of_name.map(|(_, order)| *order).eq(0..1_200), "{name}");
    }
    let ended = running.stop_within(Duration::from_secs(30)).unwrap();
    assert_eq!(ended.len(), 2);
    assert!(ended.iter().all(|consumer| consumer.error.is_none()));
    assert!(seen.iter().next().is_none(), "something came twice");
}

pub fn fifty_consumers_on_one_topic_get_everything<D: Database + Send + 'static>() {
    let names = || (0..50).map(|number| format!("consumer {number}"));
    let database = Arc::new(D::create());
    let (sender, seen) = channel();
    let runner = names()
        .enumerate()
        .fold(runner(&database), |runner, (number, name)| {
            let sender = sender.clone();
            let handled = move |message: &Message<Orders>| {
                Ok::<_, HandlerError>(sender.send((number, message.payload().order()))?)
            };
            if number % 2 == 0 {
                runner.consumer(MessageConsumer::external(name, handled))
            } else {
                let handled = move |_: &mut D::Bus, message: &Message<Orders>| handled(message);
                runner.consumer(MessageConsumer::transactional(name, handled))
            }
        });
    drop(sender);
    let running = runner.start();
    let mut bus = database.connect();
    for batch in 0..30 {
        place(&mut bus, 10 * batch..10 * batch + 10);
    }
    let mut orders = vec![Vec::new(); 50];
    for _ in 0..50 * 300 {
        let (consumer, order) = seen.recv_timeout(Duration::from_secs(60)).unwrap();
        orders[consumer].push(order);
    }
    for (name, orders) in names().zip(&orders) {
        assert!(orders.iter().copied().eq(0..300), "{name}: {orders:?}");
    }
    let ended = running.stop_within(Duration::from_secs(30)).unwrap();
    assert!(
        ended
            .iter()
            .map(|ended| &ended.consumer)
            .eq(&names().collect::<Vec<_>>())
    );
    assert!(
        ended.iter().all(|consumer| consumer.error.is_none()),
        "{ended:?}"
    );
    assert!(seen.iter().next().is_none(), "something came twice");
}

pub fn messages_dispatched_while_consumers_run_are_handled<D: Database + Send + 'static>() {
    let database = Arc::new(D::create());
    let (sender, seen) = channel();
    let consumer = MessageConsumer::<Orders>::external("all", move |message: &Message<Orders>| {
        Ok(sender.send(message.payload().order())?)
    });
    let running = runner(&database).consumer(consumer).start();
    let mut bus = database.connect();
    for order in 0..50 {
        place(&mut bus, order..order + 1);
        if order % 2 == 0 {
            running.waker().wake();
        }
        assert_eq!(seen.recv_timeout(Duration::from_secs(30)), Ok(order));
    }
}

pub fn one_of_two_runners_works_at_a_time<D: Database + Send + 'static>() {
    let database = Arc::new(D::create());
    let seen = Seen::default();
    let start = || {
        let seen = Arc::clone(&seen);
        let consumer =
            MessageConsumer::<Orders>::external("all", move |message: &Message<Orders>| {
                seen.lock().unwrap().push(message.payload().order());
                Ok(())
            })
            .page_size(7);
        runner(&database).consumer(consumer).start()
    };
    let runners = [start(), start(), start()];
    let mut bus = database.connect();
    for order in 0..100 {
        place(&mut bus, 5 * order..5 * order + 5);
    }
    wait_until("everything is handled", || {
        seen.lock().unwrap().len() >= 500
    });
    for running in runners {
        running.stop_within(Duration::from_secs(30)).unwrap();
    }
    assert_eq!(*seen.lock().unwrap(), (0..500).collect::<Vec<_>>());
}

pub fn a_slow_handler_keeps_its_lease<D: Database + Send + 'static>() {
    let lease = Duration::from_millis(1_500);
    let database = Arc::new(D::create());
    place(&mut database.connect(), 0..3);
    let (sender, seen) = channel();
    let gate = Gate::default();
    let start = || {
        let (sender, gate) = (sender.clone(), gate.clone());
        let slow = move |message: &Message<Orders>| {
            sender.send(message.payload().order())?;
            gate.pass();
            Ok(())
        };
        let consumer = MessageConsumer::<Orders>::external("all", slow).lease_duration(lease);
        runner(&database).consumer(consumer).start()
    };
    let runners = [start(), start()];
    let mut handled = Vec::new();
    let mut bus = database.connect();
    for _ in 0..3 {
        handled.push(seen.recv_timeout(Duration::from_secs(60)).unwrap());
        assert_kept(&mut bus, "all", lease);
        gate.admit_one();
    }
    gate.open();
    for running in runners {
        running.stop_within(Duration::from_secs(30)).unwrap();
    }
    handled.extend(seen.try_iter());
    assert_eq!(handled, [0, 1, 2], "another one took the lease");
}
