use diesel_async::AsyncPgConnection;
use diesel_async::pooled_connection::deadpool::Pool;
use persisting_message_bus::asynchronous::Runner;

fn start(pool: Pool<AsyncPgConnection>) {
    let _ = Runner::on_dedicated_connections(async move || pool.get().await);
}

fn main() {}
