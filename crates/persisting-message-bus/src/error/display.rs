//! The text of an error.

use std::error::Error as StdError;
use std::fmt;

use crate::error::{Attempt, Error};

impl Error {
    /// Returns the failure with its causes, but not its consequences for the consumer.
    pub(crate) fn failure(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _written = self
            .write_fact(&mut text)
            .and_then(|()| self.write_second(&mut text))
            .and_then(|()| self.write_causes(&mut text));
        text
    }

    /// Writes the fact and the next step.
    fn write_fact(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        write!(out, "{}", self.0.kind)?;
        match self.0.kind.hint() {
            Some(hint) => write!(out, "; {hint}"),
            None => Ok(()),
        }
    }

    fn write_second(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        match &self.0.second {
            Some(second) => write!(out, "; besides, {second:#}"),
            None => Ok(()),
        }
    }

    fn write_causes(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let mut cause = self.source();
        while let Some(error) = cause {
            write!(out, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(consumer) = &self.0.consumer {
            write!(formatter, "consumer \"{consumer}\"")?;
            if let Some(segment) = self.0.segment {
                write!(formatter, ", segment {segment}")?;
            }
            formatter.write_str(": ")?;
        }
        self.write_fact(formatter)?;
        if self.0.kind.stays_before() {
            formatter.write_str("; the cursor stays before this message")?;
        }
        if let Some(Attempt { number, most, .. }) = self.0.attempt {
            write!(formatter, "; failed attempts: {number} (limit {most})")?;
        }
        self.write_second(formatter)?;
        if formatter.alternate() {
            self.write_causes(formatter)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self:#}")
    }
}
