//! Two sides in turn, so that a temporary slowdown of the machine affects both.

use benchmark_rows::Failure;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// This checkout.
    This,
    /// The commit with which it is compared.
    Other,
}

impl Side {
    const BOTH: [Self; 2] = [Self::This, Self::Other];
}

/// The rates of both sides in a pair of turns.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    pub this: f64,
    pub other: f64,
}

/// Measures pairs of turns, each of which returns a rate. The side that begins alternates, because
/// the second one may find a busier disk or a warmer cache. One turn of each side before them does
/// not count: it connects, prepares statements and fills caches.
pub fn pairs(
    number: usize,
    mut turn: impl FnMut(Side) -> Result<f64, Failure>,
) -> Result<Vec<Pair>, Failure> {
    for side in Side::BOTH {
        turn(side)?;
    }
    let pairs = (0..number).map(|pair| {
        if pair % 2 == 0 {
            let this = turn(Side::This)?;
            let other = turn(Side::Other)?;
            Ok(Pair { this, other })
        } else {
            let other = turn(Side::Other)?;
            let this = turn(Side::This)?;
            Ok(Pair { this, other })
        }
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::Side::{Other, This};
    use super::*;

    #[test]
    fn the_starting_side_alternates_after_an_uncounted_turn_of_each() {
        let mut turns = Vec::new();
        let pairs = pairs(3, |side| {
            turns.push(side);
            Ok(turns.len() as f64)
        });
        let of = |this, other| Pair { this, other };
        assert_eq!(pairs.unwrap(), [of(3.0, 4.0), of(6.0, 5.0), of(7.0, 8.0)]);
        assert_eq!(turns, [This, Other, This, Other, Other, This, This, Other]);
    }

    #[test]
    fn a_turn_that_fails_ends_it() {
        let mut turns = 0;
        let failed = pairs(3, |_| {
            turns += 1;
            if turns < 4 {
                Ok(1.0)
            } else {
                Err("broken".into())
            }
        });
        assert_eq!(failed.unwrap_err().to_string(), "broken");
        assert_eq!(turns, 4);
    }
}
