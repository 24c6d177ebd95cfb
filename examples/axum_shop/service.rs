//! The service: consumers, requests, and a graceful end.

use std::error::Error;
use std::time::Duration;

use persisting_message_bus::asynchronous::{Blocking, MessageConsumer, Runner};
use persisting_message_bus::handler::HandlerError;
use persisting_message_bus::{Message, Topic};
use persisting_message_bus_http::Feed;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};

use crate::chosen::Wakes;
use crate::database::{self, Connection};
use crate::mailing::Mail;
use crate::revenue;
use crate::shop::{self, Orders, Shop};

pub type Result<T = ()> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

// docs: main
pub async fn run() -> Result {
    let pool = database::open().await?;

    let mail = Mail::connect();
    let mailer = MessageConsumer::<Orders>::external("mailer", async move |message| {
        let Orders::OrderPlaced(placed) = message.payload();
        mail.send(message.message_id(), placed).await?; // captured
        Ok(())
    });
    let revenue = MessageConsumer::<Orders>::transactional(
        "revenue",
        async |connection: &mut Connection, message: &Message<Orders>| {
            let Orders::OrderPlaced(placed) = message.payload();
            revenue::add(connection, placed.total_cents).await?; // commits with the cursor
            Ok::<_, HandlerError>(())
        },
    );
    let mut running = Runner::on_pool(pool.clone())
        .consumer(mailer)
        .consumer(revenue)
        .start();
    let wakes = Wakes::start(&running);
    // docs: end

    let feed = {
        let pool = pool.clone();
        // A feed reads on threads of its own.
        let connect = move || Handle::current().block_on(pool.get()).map(Blocking::from);
        Feed::new(connect, [Orders::NAME])?.public()
    };
    let waiting_clients = feed.shutdown_handle();
    // docs: main
    let app = shop::routes(Shop::new(pool, wakes)).merge(feed.nested_at("/feeds")?);
    let listener = TcpListener::bind(address()).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let signal = stop_signal()?;
    let served = axum::serve(listener, app).with_graceful_shutdown(async move {
        signal.await;
        waiting_clients.close();
    });
    tokio::select! {
        served = served.into_future() => served?,
        stopped = &mut running => return Err(format!("{stopped:?}").into()), // by itself
    }
    for exit in running.stop_within(Duration::from_secs(10)).await? {
        match exit.error {
            None => println!("{} has ended", exit.consumer),
            Some(error) => eprintln!("{} stopped: {error:#}", exit.consumer),
        }
    }
    Ok(())
}
// docs: end

fn address() -> String {
    std::env::var("ADDRESS").unwrap_or_else(|_| "127.0.0.1:7375".to_owned())
}

/// Waits for Ctrl-C or SIGTERM.
fn stop_signal() -> Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
