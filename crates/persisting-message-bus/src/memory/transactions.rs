use super::InMemoryMessageBus;
use crate::{Error, Transactions, TransactionsOn};

/// Messages and state commit together. Everybody takes the messages' right to write first, so that
/// two transactions cannot wait for each other.
impl Transactions for InMemoryMessageBus {
    fn begin(&mut self) -> Result<(), Error> {
        self.messages.log.begin();
        self.state.consumers.begin();
        Ok(())
    }

    fn commit(&mut self) -> Result<(), Error> {
        self.messages.log.commit();
        self.state.consumers.commit();
        Ok(())
    }

    fn roll_back(&mut self) -> Result<(), Error> {
        self.messages.log.roll_back();
        self.state.consumers.roll_back();
        Ok(())
    }
}

impl TransactionsOn<Self> for InMemoryMessageBus {
    fn connection(&mut self) -> &mut Self {
        self
    }
}
