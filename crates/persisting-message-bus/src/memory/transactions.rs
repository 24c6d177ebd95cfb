use super::InMemoryMessageBus;
use crate::{Error, Transactions, TransactionsOn};

/// Messages and state commit together. Everybody takes the messages' right to write first, so that
/// two transactions cannot wait for each other.
impl Transactions for InMemoryMessageBus {
    fn begin(&mut self) -> Result<(), Error> {
        self.messages.log.begin()?;
        match self.state.consumers.begin() {
            Ok(()) => Ok(()),
            Err(error) => self.messages.log.roll_back().and(Err(error)),
        }
    }

    fn commit(&mut self) -> Result<(), Error> {
        self.messages.log.commit()?;
        self.state.consumers.commit()
    }

    fn roll_back(&mut self) -> Result<(), Error> {
        self.messages.log.roll_back()?;
        self.state.consumers.roll_back()
    }

    fn open_transactions(&mut self) -> usize {
        self.messages.log.open_transactions()
    }
}

impl TransactionsOn<Self> for InMemoryMessageBus {
    fn connection(&mut self) -> &mut Self {
        self
    }
}
