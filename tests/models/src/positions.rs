//! Sets of positions, as bits: the first position is the lowest one.

pub(crate) type Positions = u8;

pub(crate) fn bit(position: u8) -> Positions {
    1 << (position - 1)
}

/// All positions up to one.
pub(crate) fn up_to(position: u8) -> Positions {
    Positions::MAX
        .checked_shr(8 - u32::from(position))
        .unwrap_or(0)
}

/// The highest one; zero where there is none.
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
