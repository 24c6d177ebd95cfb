use super::InMemoryMessageBus;
use crate::{Error, TransactionMark, TransactionState, Transactions, TransactionsOn};

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

    fn begin_guarded(&mut self) -> Result<TransactionMark, Error> {
        self.begin()?;
        let open = self.open_transactions();
        let id = self.messages.log.number_of(open);
        Ok(TransactionMark {
            open,
            id: id.map(|number| number.to_string()),
        })
    }

    fn state_of(&mut self, mark: &TransactionMark) -> Result<TransactionState, Error> {
        let open = self.open_transactions();
        let id = self.messages.log.number_of(mark.open);
        if open == mark.open && id.map(|number| number.to_string()) != mark.id {
            return Ok(mark.state_at(0));
        }
        Ok(mark.state_at(open))
    }
}

impl TransactionsOn<Self> for InMemoryMessageBus {
    fn connection(&mut self) -> &mut Self {
        self
    }
}
