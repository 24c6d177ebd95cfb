//! What the tests share: topics, databases to run them on, and the servers of those.

pub mod databases;
pub mod servers;
pub mod statements;
pub mod topics;

/// The seed of a randomised test: `SEED` from the environment, or a new one; printed, so that a
/// failure can be repeated.
pub fn seed() -> u64 {
    let seed = match std::env::var("SEED") {
        Ok(seed) => seed.parse().expect("SEED has to be a number"),
        Err(_) => fastrand::u64(..),
    };
    println!("SEED={seed}");
    seed
}
