//! The ends of consumers and of their runtime.

use std::sync::mpsc;
use std::time::Duration;

use persisting_message_bus::asynchronous::MessageConsumer;
use persisting_message_bus::memory::InMemoryMessageBus;
use persisting_message_bus::operate::ConsumerExit;
use persisting_message_bus::{Message, RetryPolicy};
use persisting_message_bus_tests::topics::Orders;
use tokio::sync::{mpsc as channels, oneshot};

use crate::{Pooled, SOON, Shop, current_thread, in_memory, multi_thread, place};

#[test]
fn a_stop_waits_for_the_current_message_only() {
    current_thread().block_on(async {
        let bus = InMemoryMessageBus::default();
        place(&mut bus.clone(), 0..2);
        let (sender, mut begun) = channels::unbounded_channel();
        let (release, mut released) = channels::channel::<()>(1);
        let (handled, all_handled) = mpsc::channel();
        let consumer = MessageConsumer::<Orders>::external("slow", async move |message| {
            sender.send(())?;
            released.recv().await;
            handled.send(message.payload().order())?;
            Ok(())
        });
        let running = in_memory(&bus).consumer(consumer).start();
        begun.recv().await.unwrap();
        running.shutdown().request();
        release.send(()).await.unwrap();
        let ended = running.stop_within(SOON).await.unwrap();
        assert!(ended[0].error.is_none(), "{ended:?}");
        assert_eq!(all_handled.iter().collect::<Vec<_>>(), [0]);
    });
}

#[test]
fn a_consumer_that_does_not_stop_in_time_is_named() {
    current_thread().block_on(async {
        let bus = InMemoryMessageBus::default();
        place(&mut bus.clone(), 0..1);
        let (sender, mut begun) = channels::unbounded_channel();
        let (_release, mut released) = channels::channel::<()>(1);
        let stuck = MessageConsumer::<Orders>::external("stuck", async move |_: &Message<_>| {
            sender.send(())?;
            released.recv().await;
            Ok(())
        });
        let idle = MessageConsumer::<Orders>::external("idle", async |_: &Message<_>| Ok(()));
        let running = in_memory(&bus).consumer(stuck).consumer(idle).start();
        begun.recv().await.unwrap();
        let late = running.stop_within(Duration::from_millis(300)).await;
        assert_eq!(late.unwrap_err().consumers, ["stuck"]);
    });
}

/// Fails on its only message, and is not retried.
fn failing_runner(
    bus: &InMemoryMessageBus,
) -> persisting_message_bus::asynchronous::Runner<InMemoryMessageBus> {
    place(&mut bus.clone(), 0..1);
    let failing = MessageConsumer::<Orders>::external("failing", async |_: &Message<_>| {
        Err("the handler refuses the order".into())
    });
    let idle = MessageConsumer::<Orders>::external("idle", async |_: &Message<_>| Ok(()));
    in_memory(bus)
        .consumer(failing.retry(RetryPolicy::default().max_attempts(1)))
        .consumer(idle)
}

fn assert_failing_ended(ended: &[ConsumerExit]) {
    let failed = ended
        .iter()
        .find(|exit| exit.consumer == "failing")
        .unwrap();
    assert!(
        failed.error.as_ref().unwrap().is_handler_failure(),
        "{ended:?}"
    );
}

#[test]
fn running_consumers_are_a_future_that_ends_when_one_stops_by_itself() {
    current_thread().block_on(async {
        let bus = InMemoryMessageBus::default();
        let mut running = failing_runner(&bus).start();
        let ended = (&mut running).await;
        assert_eq!(ended.len(), 1);
        assert_failing_ended(&ended);
        let others = running.stop_within(SOON).await.unwrap();
        assert_eq!(others[0].consumer, "idle");
    });
}

#[test]
fn a_run_ends_at_its_signal_or_when_a_consumer_stops_by_itself() {
    current_thread().block_on(async {
        let bus = InMemoryMessageBus::default();
        let ended = failing_runner(&bus)
            .run_until(std::future::pending::<()>(), SOON)
            .await
            .unwrap();
        assert_eq!(ended.len(), 2);
        assert_failing_ended(&ended);

        let idle = MessageConsumer::<Orders>::external("idle", async |_: &Message<_>| Ok(()));
        let (signal, signalled) = oneshot::channel::<()>();
        let run = in_memory(&InMemoryMessageBus::default())
            .consumer(idle)
            .run_until(signalled, SOON);
        let run = tokio::spawn(run);
        signal.send(()).unwrap();
        assert!(run.await.unwrap().unwrap()[0].error.is_none());
    });
}

/// The handler awaits an event that never comes. No consumer may hang, and each says why it ended.
#[test]
fn consumers_end_with_an_error_when_their_runtime_ends_first() {
    for runtime in [current_thread(), multi_thread()] {
        let (mut running, _never) = runtime.block_on(async {
            let shop = Shop::with_orders(1);
            let (sender, mut begun) = channels::unbounded_channel();
            let (never, mut comes) = channels::channel::<()>(1);
            let awaits =
                MessageConsumer::<Orders>::external("awaits", async move |_: &Message<_>| {
                    sender.send(())?;
                    comes.recv().await;
                    Ok(())
                });
            let idle = MessageConsumer::<Orders>::transactional(
                "idle",
                async |_: &mut Pooled, _: &Message<_>| Ok(()),
            );
            let running = shop.runner().consumer(awaits).consumer(idle).start();
            begun.recv().await.unwrap();
            (running, (never, shop))
        });
        drop(runtime);
        let ended = current_thread().block_on(async {
            tokio::time::timeout(SOON, async {
                let mut ended = (&mut running).await;
                while ended.len() < 2 {
                    ended.extend((&mut running).await);
                }
                ended
            })
            .await
            .expect("consumers end with their runtime")
        });
        for exit in ended {
            let text = format!("{:#}", exit.error.unwrap());
            assert!(text.contains("the tokio runtime has ended"), "{text}");
        }
    }
}

/// A handler in a timer of the runtime panics when the runtime ends.
#[test]
#[expect(
    clippy::async_yields_async,
    reason = "the consumers are awaited on another runtime"
)]
fn consumers_end_when_their_runtime_ends_during_a_timer() {
    let runtime = current_thread();
    let bus = InMemoryMessageBus::default();
    place(&mut bus.clone(), 0..1);
    let running = runtime.block_on(async {
        let (sender, mut begun) = channels::unbounded_channel();
        let sleeps = MessageConsumer::<Orders>::external("sleeps", async move |_: &Message<_>| {
            sender.send(())?;
            tokio::time::sleep(Duration::from_secs(3_600)).await;
            Ok(())
        });
        let running = in_memory(&bus).consumer(sleeps).start();
        begun.recv().await.unwrap();
        running
    });
    drop(runtime);
    let ended = current_thread().block_on(async {
        let ended = tokio::time::timeout(SOON, running).await;
        ended.expect("the consumer ends with its runtime")
    });
    assert!(ended[0].error.is_some(), "{ended:?}");
}
