use tokio::sync::watch;

/// Ends what a [`Feed`](crate::Feed) would otherwise keep open, when the program is about to end.
///
/// A server that shuts down gracefully waits for its connections. Those of clients that wait, or receive
/// server-sent events, are answered or ended at once when this is closed; they come again, and go on
/// elsewhere.
#[derive(Debug, Clone, Default)]
pub struct Closing {
    is_closed: watch::Sender<bool>,
}

impl Closing {
    /// Lets nobody wait any more. Pages are still served.
    pub fn close(&self) {
        self.is_closed.send_replace(true);
    }

    pub(super) fn is_closed(&self) -> bool {
        *self.is_closed.borrow()
    }

    /// Until it is closed.
    pub(super) async fn closed(&self) {
        let mut is_closed = self.is_closed.subscribe();
        // The sender is this one, and is there.
        let _closed = is_closed.wait_for(|closed| *closed).await;
    }
}
