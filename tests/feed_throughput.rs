//! cargo run --release -p persisting-message-bus-tests --bin feed-throughput
//!
//! Measures how many messages a second a consumer handles while it catches up: on the table itself,
//! and on a feed over the loopback interface. PostgreSQL and MariaDB are those of `with-servers`.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

use axum::serve;
use axum::serve::ListenerExt;
use clap::{Parser, ValueEnum, value_parser};
use comfy_table::{CellAlignment, Table, presets::UTF8_BORDERS_ONLY};
use persisting_message_bus::backend::MessageSource;
use persisting_message_bus::memory::InMemoryMessageConsumerState;
use persisting_message_bus::{Message, MessageBus, MessageConsumer, MessageDispatcher};
use persisting_message_bus_http::{Feed, HttpSource};
use persisting_message_bus_tests::databases::{
    Database, Memory, PooledMariadb, PooledPostgres, PooledSqlite,
};
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

#[derive(Parser)]
#[command(about = "Measures feeds against tables")]
struct Arguments {
    /// The databases [default: memory and sqlite]
    #[arg(value_enum)]
    databases: Vec<Kind>,
    /// The number of messages to handle
    #[arg(long, default_value_t = 200_000, value_parser = value_parser!(u64).range(1..))]
    messages: u64,
    /// The size of the note in each message, in bytes
    #[arg(long, default_value_t = 200)]
    note: usize,
    /// The numbers of messages in a page
    #[arg(long, value_delimiter = ',', default_values_t = [500, 5_000])]
    pages: Vec<usize>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    Memory,
    Sqlite,
    Postgres,
    Mariadb,
}

fn main() {
    let mut arguments = Arguments::parse();
    if arguments.databases.is_empty() {
        arguments.databases = vec![Kind::Memory, Kind::Sqlite];
    }
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY);
    table.set_header(["database", "page", "table/s", "feed/s"]);
    for database in &arguments.databases {
        match database {
            Kind::Memory => measure::<Memory>("memory", &arguments, &mut table),
            Kind::Sqlite => measure::<PooledSqlite>("sqlite", &arguments, &mut table),
            Kind::Postgres => measure::<PooledPostgres>("postgres", &arguments, &mut table),
            Kind::Mariadb => measure::<PooledMariadb>("mariadb", &arguments, &mut table),
        }
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    println!("{table}");
}

fn measure<D: Database + Send + 'static>(name: &str, arguments: &Arguments, table: &mut Table) {
    let database = Arc::new(D::create());
    publish(&mut database.connect(), arguments);
    let runtime = Runtime::new().expect("a runtime");
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"));
    let listener = listener.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let served = Arc::clone(&database);
    let feed = Feed::new(move || Ok::<_, Infallible>(served.connect()), ["orders"])
        .expect("a feed")
        .public();
    // With TCP_NODELAY, the end of a page does not wait until its beginning is acknowledged.
    let listener = listener.tap_io(|connection| {
        let _slower_otherwise = connection.set_nodelay(true);
    });
    runtime.spawn(async { serve(listener, feed.router()).await });
    for page in &arguments.pages {
        let direct = catch_up(database.connect(), arguments.messages, *page);
        let source = HttpSource::new(&url).expect("an address");
        let over_http = catch_up(source, arguments.messages, *page);
        let rates = [direct, over_http].map(|rate| format!("{rate:.0}"));
        table.add_row([name.to_owned(), page.to_string()].into_iter().chain(rates));
    }
    runtime.shutdown_background();
}

fn publish<D: persisting_message_bus::backend::MessageRepository>(
    bus: &mut D,
    arguments: &Arguments,
) {
    const BATCH: usize = 1_000;
    let orders = MessageDispatcher::<Orders>::new();
    let numbers: Vec<_> = (1..=arguments.messages).collect();
    for numbers in numbers.chunks(BATCH) {
        let batch = numbers.iter().map(|order| OrderPlaced {
            order: *order,
            note: (0..arguments.note)
                .map(|_| fastrand::alphanumeric())
                .collect(),
        });
        orders.dispatch_batch(bus, batch).expect("dispatched");
    }
}

/// Returns the messages a second. Cursors are in memory in both cases.
fn catch_up(source: impl MessageSource, messages: u64, page: usize) -> f64 {
    let mut bus = MessageBus::new(source, InMemoryMessageConsumerState::default());
    let mut handled = 0;
    let mut consumer = MessageConsumer::<Orders>::external("c", |_: &Message<Orders>| {
        handled += 1;
        Ok(())
    })
    .page_size(page);
    let begun = Instant::now();
    while consumer.handle_page(&mut bus).expect("a page") > 0 {}
    let seconds = begun.elapsed().as_secs_f64();
    drop(consumer);
    assert_eq!(handled, messages);
    messages as f64 / seconds
}
