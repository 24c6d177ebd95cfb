//! Sets of positions, as bits. The first position is the lowest bit.

pub(crate) type Positions = u8;

pub(crate) fn bit(position: u8) -> Positions {
    1 << (position - 1)
}

/// Returns the set of all positions up to `position`.
pub(crate) fn up_to(position: u8) -> Positions {
    Positions::MAX
        .checked_shr(8 - u32::from(position))
        .unwrap_or(0)
}

/// Returns the highest position of a set, or zero if the set is empty.
pub(crate) fn highest(positions: Positions) -> u8 {
    8 - u8::try_from(positions.leading_zeros()).unwrap_or(8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_bits() {
        assert_eq!((bit(1), bit(3)), (0b1, 0b100));
        assert_eq!((up_to(0), up_to(3), up_to(8)), (0, 0b111, 0xff));
        assert_eq!((highest(0), highest(0b101), highest(0x80)), (0, 3, 8));
    }
}
