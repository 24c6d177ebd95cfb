//! A server that a page in the browser tells what it receives.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::Router;
use axum::routing::post;
use persisting_message_bus_tests::http_server::HttpServer;

/// The received reports, each with its time.
pub struct Reports {
    server: HttpServer,
    texts: Arc<Mutex<Vec<(String, Instant)>>>,
}

impl Reports {
    pub fn start() -> Self {
        let texts = Arc::new(Mutex::new(Vec::new()));
        let received = Arc::clone(&texts);
        let receive = move |text: String| async move {
            received.lock().unwrap().push((text, Instant::now()));
        };
        Self {
            server: HttpServer::start(Router::new().route("/", post(receive))),
            texts,
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}/", self.server.address)
    }

    /// Returns the reported orders of a subscription, and panics if one was received out of order.
    pub fn orders(&self, subscription: &str) -> Vec<u64> {
        let texts = self.texts.lock().unwrap();
        let own = texts.iter().filter_map(|(text, _)| {
            let (name, rest) = text.split_once(' ')?;
            let (index, order) = rest.split_once(' ')?;
            (name == subscription).then(|| {
                (
                    index.parse::<usize>().unwrap(),
                    order.parse::<u64>().unwrap(),
                )
            })
        });
        // Reports can overtake each other, so each has an index.
        let mut own: Vec<_> = own.collect();
        own.sort_unstable();
        own.into_iter().map(|(_, order)| order).collect()
    }

    /// Returns the time at which a report came that ends with this order.
    pub fn received_at(&self, subscription: &str, order: u64) -> Option<Instant> {
        let texts = self.texts.lock().unwrap();
        let end = format!(" {order}");
        let mut own = texts.iter();
        own.find_map(|(text, at)| {
            let is_it = text.starts_with(&format!("{subscription} ")) && text.ends_with(&end);
            is_it.then_some(*at)
        })
    }

    /// Returns `true` if the page has reported the end of a subscription.
    pub fn has_ended(&self, subscription: &str) -> bool {
        let texts = self.texts.lock().unwrap();
        let end = format!("{subscription} closed");
        texts.iter().any(|(text, _)| *text == end)
    }
}
