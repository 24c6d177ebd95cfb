//! The messages, and the programs that know more or fewer of them.

use persisting_message_bus::{EventSet, OnAdded, Topic};
use serde::{Deserialize, Serialize};

pub const TOPIC: &str = "letters";

#[derive(Debug, Serialize, Deserialize)]
pub struct A {}

#[derive(Debug, Serialize, Deserialize)]
pub struct B {}

#[derive(Debug, Serialize, Deserialize)]
pub struct C {}

#[derive(Debug, Serialize, Deserialize)]
pub struct D {}

/// The topic as the newer program and the publisher know it.
#[derive(Debug, Topic)]
#[topic(name = "letters")]
pub enum Letters {
    A(A),
    B(B),
    C(C),
    D(D),
}

#[derive(Debug, EventSet)]
#[event_set(topic = Letters)]
#[allow(dead_code)]
pub enum Larger {
    A(A),
    B(B),
    C(C),
}

/// The topic as the older program knows it.
pub mod older {
    use super::*;

    #[derive(Debug, Topic)]
    #[topic(name = "letters")]
    #[allow(dead_code)]
    pub enum Letters {
        A(A),
        B(B),
        C(C),
    }

    #[derive(Debug, EventSet)]
    #[event_set(topic = Letters)]
    #[allow(dead_code)]
    pub enum Smaller {
        A(A),
        B(B),
    }
}

/// A program that is deployed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// The older program with an event set of A and B.
    Smaller,
    /// The newer program with an event set of A, B and C.
    Larger(OnAdded),
    /// The older program with the whole topic.
    Older,
    /// The newer program with the whole topic.
    Newer,
}

impl Program {
    const ALL: [Self; 5] = [
        Self::Smaller,
        Self::Larger(OnAdded::FromNow),
        Self::Larger(OnAdded::Replay),
        Self::Older,
        Self::Newer,
    ];

    /// Returns the name with which a process is told its program.
    pub fn name(self) -> &'static str {
        match self {
            Self::Smaller => "smaller",
            Self::Larger(OnAdded::FromNow) => "larger-from-now",
            Self::Larger(OnAdded::Replay) => "larger-replay",
            Self::Older => "older",
            Self::Newer => "newer",
        }
    }

    pub fn named(name: &str) -> Self {
        let mut all = Self::ALL.into_iter();
        all.find(|program| program.name() == name)
            .expect("the name of a program")
    }

    /// Returns the message types that the program handles.
    pub fn types(self) -> &'static [&'static str] {
        match self {
            Self::Smaller => &["A", "B"],
            Self::Larger(_) | Self::Older => &["A", "B", "C"],
            Self::Newer => &["A", "B", "C", "D"],
        }
    }
}
