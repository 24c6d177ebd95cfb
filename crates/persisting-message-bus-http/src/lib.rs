//! Topics of `persisting-message-bus` over HTTP, from one service to others that share no database
//! with it.
//!
//! | feature | gives |
//! |---|---|
//! | `server` | [`Feed`]: serves topics, as an axum router |
//! | `client` | [`HttpSource`]: reads what a `Feed` serves; a consumer runs on it as on a table |
//!
//! # Example
//!
//! ```
//! # #[cfg(all(feature = "server", feature = "client"))]
//! # fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use persisting_message_bus::memory::{InMemoryMessageConsumerState, InMemoryMessageBus};
//! use persisting_message_bus::{Message, MessageBus, MessageConsumer, MessageDispatcher, Topic};
//! use persisting_message_bus_http::{Feed, HttpSource};
//! # use serde::{Deserialize, Serialize};
//! # #[derive(Serialize, Deserialize)]
//! # struct OrderPlaced { order: u32 }
//! # #[derive(Topic)]
//! # #[topic(name = "orders")]
//! # enum Orders { OrderPlaced(OrderPlaced) }
//!
//! // One service publishes, and serves what it has published. `bus` is a pool in real life.
//! let mut bus = InMemoryMessageBus::default();
//! MessageDispatcher::<Orders>::new().dispatch(&mut bus, &OrderPlaced { order: 1 })?;
//! let feed = Feed::new(move || Ok::<_, std::convert::Infallible>(bus.clone()), [Orders::NAME])
//!     .token("a long random text");
//!
//! let runtime = tokio::runtime::Runtime::new()?;
//! let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))?;
//! let address = listener.local_addr()?;
//! // The end of a page is not to wait until its beginning is acknowledged.
//! let listener = axum::serve::ListenerExt::tap_io(listener, |connection| {
//!     let _slower_otherwise = connection.set_nodelay(true);
//! });
//! runtime.spawn(async move { axum::serve(listener, feed.router()).await });
//!
//! // Another one consumes it. `state` is a Diesel connection in real life.
//! let source = HttpSource::new(format!("http://{address}"))?.token("a long random text")?;
//! let state = InMemoryMessageConsumerState::default();
//! let mut orders = Vec::new();
//! let mut consumer = MessageConsumer::<Orders>::external("mailer", |message: &Message<Orders>| {
//!     let Orders::OrderPlaced(placed) = message.payload();
//!     orders.push(placed.order);
//!     Ok(())
//! });
//! consumer.handle_new_messages(&mut MessageBus::new(source, state))?;
//! drop(consumer);
//! assert_eq!(orders, [1]);
//! # Ok(())
//! # }
//! # #[cfg(all(feature = "server", feature = "client"))]
//! # run().unwrap();
//! ```
//!
//! # On the wire
//!
//! `GET /{topic}` answers with a page of messages in the order of their positions, as a feed of
//! [http-feeds.org](https://www.http-feeds.org): CloudEvents 1.0 in `application/cloudevents-batch+json`,
//! `[]` at the end. `Accept: text/event-stream` makes it server-sent events, one CloudEvent each.
//!
//! | parameter | meaning |
//! |---|---|
//! | `lastEventId` | what comes behind this event: its `id`, or its `sequence` |
//! | `after` | what comes behind this position, a `sequence`; 0 is the start, as without either |
//! | `limit` | at most so many events; 0 makes an empty page, whose headers say how far the topic goes |
//! | `timeout` | how many milliseconds to wait when there is nothing new; 0, as without it, for not at all |
//! | `type` | events of this type only; may be repeated |
//! | `exceptType` | events of other types only; may be repeated |
//!
//! An event that is not there, because it was pruned, or a position that never was, is answered with 404,
//! and never with the start of the topic. All errors are `application/problem+json`.
//!
//! | header of a page | meaning |
//! |---|---|
//! | `Feed-Next` | everything of the topic up to this position was seen: go on with it as `after` |
//! | `Feed-Head` | the position of the topic's last event that can be read for now |
//! | `Feed-Horizon` | nothing of the topic can still be committed at or below this position |
//! | `ETag`, `Cache-Control` | a full page may be kept by who asks whether it is the same; others not |
//!
//! `GET /` names the topics that the caller may read, and the last position that was ever handed out.
//!
//! | attribute of an event | is the message's |
//! |---|---|
//! | `id`, `type`, `time`, `data` | id, type, time of recording, payload as it is stored |
//! | `source` | topic as a path, `/orders`, behind what [`Feed::source`] says |
//! | `topic`, `messageversion` | topic, version |
//! | `sequence` | position, with leading zeros to 20 digits |
//! | `correlationid` | the flow that it belongs to: where its headers name none, its own id |
//! | `causationid`, `traceparent`, `partitionkey` | headers of these names, where it has them |
//! | `headers` | all headers as they are stored, the JSON object as a text |
#![cfg_attr(
    not(all(feature = "server", feature = "client")),
    allow(rustdoc::broken_intra_doc_links)
)]

#[cfg(feature = "client")]
mod client;
#[cfg(feature = "server")]
mod server;
#[cfg(any(feature = "server", feature = "client"))]
mod wire;

/// Compiles the page's code, as part of the tests.
#[cfg(all(doctest, feature = "server", feature = "client"))]
#[doc = include_str!("../../../docs/between-services.md")]
struct BetweenServices;

#[cfg(feature = "client")]
pub use client::HttpSource;
#[cfg(feature = "server")]
pub use server::{Closing, Feed, Limits};
