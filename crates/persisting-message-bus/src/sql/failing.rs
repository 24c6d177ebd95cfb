/// The behaviour of a database, and of Diesel's connection to it, when a statement fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failing {
    /// Whether Diesel hides the errors of statements whose rows are loaded.
    pub is_hidden_when_loaded: bool,
    /// Whether a violated constraint undoes only its statement and leaves the transaction as it is.
    pub violations_are_harmless: bool,
    /// Whether the probe distinguishes a transaction from one that was begun after it, whether or
    /// not the statements are watched.
    pub probe_is_exact: bool,
}
