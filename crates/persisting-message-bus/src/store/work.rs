use std::fmt;

use crate::position::Position;

/// The messages that a lease holder has handed to its handler. The holder notes them in the
/// consumer's row before it does so. If its process ends unexpectedly, the next holder knows which
/// messages were being handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Work {
    /// The messages that were handed out.
    pub messages: WorkMessages,
    /// Whether it was one message, and no other consumer's handler ran in the process.
    pub alone: bool,
    /// Whether this was noted in the transaction of the handler's effects. A holder that reads it
    /// knows that the transaction was committed, although the cursor has not moved.
    pub begun: bool,
}

/// Identifies the messages that were handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkMessages {
    /// The messages of the page after the cursor.
    Page,
    /// The redriven message at this position.
    Redriven(Position),
}

impl Work {
    /// The page after the cursor.
    pub const PAGE: Self = Self {
        messages: WorkMessages::Page,
        alone: false,
        begun: false,
    };

    /// Creates the work of a redriven message at a position.
    #[must_use]
    pub const fn redriven(position: Position) -> Self {
        Self {
            messages: WorkMessages::Redriven(position),
            ..Self::PAGE
        }
    }

    /// Returns the same work; `alone` states that no other handler ran in the process.
    #[must_use]
    pub const fn alone(self, alone: bool) -> Self {
        Self { alone, ..self }
    }

    /// Returns the same work, noted in the transaction of its effects.
    #[must_use]
    pub const fn begun(self) -> Self {
        Self {
            begun: true,
            ..self
        }
    }

    /// Reads the stored form. Text from a newer program that is not understood counts as a page.
    #[must_use]
    pub fn from_stored(text: &str) -> Self {
        let mut words = text.split(' ');
        let messages = match (words.next(), words.next().map(str::parse)) {
            (Some("redriven"), Some(Ok(position))) => {
                WorkMessages::Redriven(Position::new(position))
            }
            _ => WorkMessages::Page,
        };
        let says = |word| text.split(' ').any(|other| other == word);
        Self {
            messages,
            alone: says("alone"),
            begun: says("begun"),
        }
    }
}

/// Writes the stored form.
impl fmt::Display for Work {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.messages {
            WorkMessages::Page => formatter.write_str("page")?,
            WorkMessages::Redriven(position) => write!(formatter, "redriven {position}")?,
        }
        if self.alone {
            formatter.write_str(" alone")?;
        }
        if self.begun {
            formatter.write_str(" begun")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_comes_back_as_it_was_stored() {
        for messages in [Work::PAGE, Work::redriven(Position::new(i64::MAX))] {
            for alone in [false, true] {
                let work = messages.alone(alone);
                for work in [work, work.begun()] {
                    let stored = work.to_string();
                    assert!(stored.len() <= 64, "{stored}");
                    assert_eq!(Work::from_stored(&stored), work);
                }
            }
        }
    }

    #[test]
    fn work_of_a_newer_program_is_a_page() {
        assert_eq!(Work::from_stored("segment 7").messages, WorkMessages::Page);
        assert_eq!(Work::from_stored(""), Work::PAGE);
        assert_eq!(Work::from_stored("page taken"), Work::PAGE);
    }
}
