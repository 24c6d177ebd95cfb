//! Feeds and their readers, over the loopback interface.

mod access;
mod caching;
mod cloudevents;
mod connections;
mod correlation;
mod hostile;
mod instances;
mod malformed_responses;
mod pruned;
mod rare_types;
mod relays;
mod replaced;
mod requests;
mod requests_per_page;
mod resuming;
mod retention;
mod round_trip;
mod server_process;
mod serving;
mod stalled;
mod streams;
mod tls;
mod waiting;
