use diesel::SqliteConnection;
use diesel::result::ConnectionError;
use diesel_async::AsyncConnection;
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, ManagerConfig};
use diesel_async::sync_connection_wrapper::SyncConnectionWrapper;
use persisting_message_bus::Waker;
use persisting_message_bus::asynchronous::Running;
use persisting_message_bus::sql::sqlite::Settings;

use crate::service::Result;

pub type Plain = SyncConnectionWrapper<SqliteConnection>;

pub fn manager() -> Result<AsyncDieselConnectionManager<Plain>> {
    let mut config = ManagerConfig::default();
    config.custom_setup = Box::new(|file| Box::pin(connect(file.to_owned())));
    let file = "axum_shop.db";
    Ok(AsyncDieselConnectionManager::new_with_config(file, config))
}

async fn connect(file: String) -> std::result::Result<Plain, ConnectionError> {
    let mut connection = Plain::establish(&file).await?;
    let set_up = connection.spawn_blocking(|connection| {
        let set_up = Settings::default().apply(connection);
        set_up.map_err(|error| diesel::result::Error::QueryBuilderError(error.into()))
    });
    set_up
        .await
        .map_err(ConnectionError::CouldntSetupConfiguration)?;
    Ok(connection)
}

/// Wakes the consumers of this process, which are all.
#[derive(Clone)]
pub struct Wakes(Waker);

impl Wakes {
    pub fn start(running: &Running) -> Self {
        Self(running.waker())
    }

    pub fn wake(&self) {
        self.0.wake();
    }
}
