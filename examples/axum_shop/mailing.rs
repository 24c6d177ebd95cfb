//! Takes the place of a mail server's client: it writes a line for each mail.

use std::io::Error;

use tokio::fs::OpenOptions;
use tokio::io::AsyncWriteExt;
use uuid::Uuid;

use crate::shop::OrderPlaced;

pub struct Mail {
    file: &'static str,
}

impl Mail {
    pub fn connect() -> Self {
        Self {
            file: "axum_shop.mails",
        }
    }

    /// Sends a mail. A mail server would recognise a mail that it has already by the id of its message.
    pub async fn send(&self, message_id: Uuid, placed: &OrderPlaced) -> Result<(), Error> {
        let OrderPlaced {
            order, customer, ..
        } = placed;
        let line = format!("{message_id} {order} {customer}\n");
        let mut file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(self.file)
            .await?;
        file.write_all(line.as_bytes()).await?;
        file.flush().await
    }
}
