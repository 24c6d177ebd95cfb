use tokio::sync::watch;

/// Ends the requests that a [`Feed`](crate::Feed) would otherwise keep open, when the program shuts
/// down.
///
/// A server that shuts down gracefully waits for its connections. When this handle is closed, the
/// feed at once answers clients that wait, and ends server-sent events. These clients reconnect,
/// and continue with another server.
#[derive(Debug, Clone, Default)]
pub struct ShutdownHandle {
    is_closed: watch::Sender<bool>,
}

impl ShutdownHandle {
    /// Ends all waiting, now and from now on. The feed still serves pages.
    pub fn close(&self) {
        self.is_closed.send_replace(true);
    }

    pub(super) fn is_closed(&self) -> bool {
        *self.is_closed.borrow()
    }

    /// Waits until the handle is closed.
    pub(super) async fn closed(&self) {
        let mut is_closed = self.is_closed.subscribe();
        // The wait cannot fail, because this handle owns the sender.
        let _closed = is_closed.wait_for(|closed| *closed).await;
    }
}
