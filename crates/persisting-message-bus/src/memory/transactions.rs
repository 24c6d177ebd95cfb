use crate::error::Error;
use crate::memory::bus::InMemoryMessageBus;
use crate::store::transactions::{
    TransactionControl, TransactionControlOn, TransactionMark, TransactionState,
};

/// Messages and state commit together. Every transaction locks the messages first and the state
/// second, so that two transactions cannot wait for each other.
impl TransactionControl for InMemoryMessageBus {
    fn begin(&mut self) -> Result<(), Error> {
        self.messages.log.begin()?;
        match self.state.consumers.begin() {
            Ok(()) => Ok(()),
            Err(error) => self.messages.log.rollback().and(Err(error)),
        }
    }

    fn commit(&mut self) -> Result<(), Error> {
        self.messages.log.commit()?;
        self.state.consumers.commit()
    }

    fn rollback(&mut self) -> Result<(), Error> {
        self.messages.log.rollback()?;
        self.state.consumers.rollback()
    }

    fn transaction_depth(&mut self) -> usize {
        self.messages.log.transaction_depth()
    }

    fn begin_guarded(&mut self) -> Result<TransactionMark, Error> {
        self.begin()?;
        let open = self.transaction_depth();
        let id = self.messages.log.number_of(open);
        Ok(TransactionMark {
            open,
            id: id.map(|number| number.to_string()),
        })
    }

    fn state_of(&mut self, mark: &TransactionMark) -> Result<TransactionState, Error> {
        let open = self.transaction_depth();
        let id = self.messages.log.number_of(mark.open);
        if open == mark.open && id.map(|number| number.to_string()) != mark.id {
            return Ok(mark.state_at(0));
        }
        Ok(mark.state_at(open))
    }
}

impl TransactionControlOn<Self> for InMemoryMessageBus {
    fn connection(&mut self) -> &mut Self {
        self
    }
}
