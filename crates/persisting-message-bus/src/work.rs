use std::fmt;

use crate::Position;

/// What a holder of a lease has handed out to its handler. It is noted in the consumer's row before that,
/// so that the next holder knows what was at work when a process ended without a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Work {
    /// Which messages.
    pub messages: WorkMessages,
    /// Whether it was one message, and no other handler of consumers was at work in the process.
    pub alone: bool,
    /// Whether this was noted in the transaction of the handler's effects. Who sees it knows that the
    /// transaction was committed, although the cursor has not moved.
    pub begun: bool,
}

/// Which messages were handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkMessages {
    /// Those of the page after the cursor.
    Page,
    /// The redriven one at this position.
    Redriven(Position),
}

impl Work {
    /// The page after the cursor.
    pub const PAGE: Self = Self {
        messages: WorkMessages::Page,
        alone: false,
        begun: false,
    };

    /// The redriven message at a position.
    #[must_use]
    pub const fn redriven(position: Position) -> Self {
        Self {
            messages: WorkMessages::Redriven(position),
            ..Self::PAGE
        }
    }

    /// The same, with or without others at work in the process.
    #[must_use]
    pub const fn alone(self, alone: bool) -> Self {
        Self { alone, ..self }
    }

    /// The same, noted in the transaction of its effects.
    #[must_use]
    pub const fn begun(self) -> Self {
        Self {
            begun: true,
            ..self
        }
    }

    /// What is stored as `text`. What a newer program has stored is taken for a page.
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

/// How it is stored.
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
    }
}
