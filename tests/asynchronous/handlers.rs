//! What a handler can do.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use persisting_message_bus::asynchronous::MessageConsumer;
use persisting_message_bus::backend::MessageConsumerState;
use persisting_message_bus::memory::InMemoryMessageBus;
use persisting_message_bus::operate::{ConsumerKey, FailedMessagesRequest, MessageFailures};
use persisting_message_bus::{FailurePolicy, Message, ParallelConsumer, RetryPolicy};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::topics::Orders;
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::{Pooled, SOON, Shop, current_thread, in_memory, multi_thread, place, write};

/// On every kind of runtime, a transactional handler receives the async connection, and its effects
/// commit with the cursor.
#[test]
fn effects_of_an_async_handler_happen_once_although_it_fails() {
    for runtime in [current_thread(), multi_thread()] {
        runtime.block_on(async {
            let shop = Shop::with_orders(5);
            let mut failures = 2;
            let consumer = MessageConsumer::<Orders>::transactional(
                "writer",
                async move |connection: &mut Pooled, message: &Message<Orders>| {
                    let order = message.payload().order();
                    write(connection, order).await?;
                    if order == 3 && failures > 0 {
                        failures -= 1;
                        return Err("the handler refuses the order".into());
                    }
                    Ok(())
                },
            );
            let running = shop.runner().consumer(consumer).start();
            running.caught_up_within(SOON).await.unwrap();
            assert_eq!(shop.effects().await, [0, 1, 2, 3, 4]);
            let ended = running.stop_within(SOON).await.unwrap();
            assert!(ended.iter().all(|exit| exit.error.is_none()), "{ended:?}");
        });
    }
}

/// Each thread of a consumer that is divided finds the runtime.
#[test]
fn async_handlers_work_on_many_threads() {
    for runtime in [current_thread(), multi_thread()] {
        runtime.block_on(async {
            let shop = Shop::with_orders(20);
            let make = || {
                MessageConsumer::<Orders>::transactional(
                    "writer",
                    async |connection: &mut Pooled, message: &Message<Orders>| {
                        sleep(Duration::from_millis(1)).await;
                        write(connection, message.payload().order()).await?;
                        Ok(())
                    },
                )
            };
            let consumer = ParallelConsumer::unordered(make).segments(8).threads(2);
            let running = shop.runner().parallel(consumer).start();
            running.caught_up_within(SOON).await.unwrap();
            let mut effects = shop.effects().await;
            effects.sort_unstable();
            assert_eq!(effects, Vec::from_iter(0..20));
            let ended = running.stop_within(SOON).await.unwrap();
            assert!(ended.iter().all(|exit| exit.error.is_none()), "{ended:?}");
        });
    }
}

#[test]
fn a_handler_of_pages_receives_the_async_connection() {
    current_thread().block_on(async {
        let shop = Shop::with_orders(5);
        let consumer = MessageConsumer::<Orders>::transactional_pages(
            "writer",
            async |connection: &mut Pooled, page: &[Message<Orders>]| {
                for message in page {
                    write(connection, message.payload().order()).await?;
                }
                Ok(())
            },
        );
        let hook = async |connection: &mut Pooled| Ok(write(connection, 100).await?);
        let consumer = consumer.before_replay(hook);
        let running = shop.runner().consumer(consumer).start();
        running.caught_up_within(SOON).await.unwrap();
        assert_eq!(shop.effects().await, [0, 1, 2, 3, 4, 100]);
    });
}

/// The future holds an `Rc` over an await, and the closure changes what it has captured.
#[test]
fn a_handler_captures_and_its_future_need_not_be_send() {
    current_thread().block_on(async {
        let bus = InMemoryMessageBus::default();
        place(&mut bus.clone(), 0..3);
        let (sender, mut sums) = mpsc::unbounded_channel();
        let mut sum = 0;
        let consumer = MessageConsumer::<Orders>::external("sums", async move |message| {
            let order = Rc::new(Cell::new(message.payload().order()));
            sleep(Duration::from_millis(1)).await;
            sum += order.get();
            sender.send(sum)?;
            Ok(())
        });
        let hook = async || {
            tokio::task::yield_now().await;
            Ok(())
        };
        let consumer = consumer.before_replay(hook);
        let _running = in_memory(&bus).consumer(consumer).start();
        let mut seen = Vec::new();
        while seen.len() < 3 {
            seen.push(sums.recv().await.unwrap());
        }
        assert_eq!(seen, [0, 1, 3]);
    });
}

#[test]
fn a_handler_can_spawn_tasks_and_await_them() {
    for runtime in [current_thread(), multi_thread()] {
        runtime.block_on(async {
            let bus = InMemoryMessageBus::default();
            place(&mut bus.clone(), 0..3);
            let (sender, mut seen) = mpsc::channel(1);
            let consumer = MessageConsumer::<Orders>::external("spawner", async move |message| {
                let (order, sender) = (message.payload().order(), sender.clone());
                tokio::spawn(async move { sender.send(order).await }).await??;
                Ok(())
            });
            let running = in_memory(&bus).consumer(consumer).start();
            for order in 0..3 {
                assert_eq!(seen.recv().await, Some(order));
            }
            running.stop_within(SOON).await.unwrap();
        });
    }
}

#[test]
fn a_panic_of_an_async_handler_is_the_failure_of_its_message() {
    current_thread().block_on(async {
        let shop = Shop::with_orders(3);
        let consumer = MessageConsumer::<Orders>::transactional(
            "writer",
            async |connection: &mut Pooled, message: &Message<Orders>| {
                write(connection, message.payload().order()).await?;
                assert_ne!(
                    message.payload().order(),
                    1,
                    "the handler dislikes the order"
                );
                Ok(())
            },
        );
        let park = RetryPolicy::default()
            .initial_delay(Duration::from_millis(1))
            .max_attempts(2)
            .on_exhausted(FailurePolicy::Park);
        let running = shop.runner().consumer(consumer.retry(park)).start();
        running.caught_up_within(SOON).await.unwrap();
        assert_eq!(shop.effects().await, [0, 2]);
        let mut bus = shop.database.connect();
        let failed = bus
            .failed_messages(&FailedMessagesRequest::of_parked(ConsumerKey {
                consumer: "writer",
                topic: "orders",
            }))
            .unwrap();
        assert_eq!(failed.len(), 1);
        assert!(failed[0].error.contains("dislikes the order"), "{failed:?}");
    });
}

/// The expiry of the lease moves while the handler awaits, so no other holder can take it.
#[test]
fn a_heartbeat_renews_the_lease_while_a_handler_awaits() {
    multi_thread().block_on(async {
        let shop = Shop::with_orders(1);
        let (sender, mut begun) = mpsc::unbounded_channel();
        let (release, mut released) = mpsc::channel::<()>(1);
        let consumer = MessageConsumer::<Orders>::external("slow", async move |_: &Message<_>| {
            sender.send(())?;
            released.recv().await;
            Ok(())
        });
        let consumer = consumer.lease_duration(Duration::from_millis(600));
        let running = shop.runner().consumer(consumer).start();
        begun.recv().await.unwrap();
        let mut bus = shop.database.connect();
        let mut expiry = || {
            let key = ConsumerKey {
                consumer: "slow",
                topic: "orders",
            };
            bus.stored_consumer(key).unwrap().unwrap().lease_expires_at
        };
        let first = expiry();
        let renewed = async {
            while expiry() == first {
                sleep(Duration::from_millis(10)).await;
            }
        };
        let renewed = tokio::time::timeout(SOON, renewed).await;
        renewed.expect("the lease is renewed");
        release.send(()).await.unwrap();
        running.stop_within(SOON).await.unwrap();
    });
}
