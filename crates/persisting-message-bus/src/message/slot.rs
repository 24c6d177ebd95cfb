use std::fmt;

/// The number of a key among 32,768, or [`NONE`](Self::NONE) for a message without a key. It is
/// stored beside the message. Messages with the same key have the same slot.
///
/// The slot is computed from the UTF-8 bytes of the key's text: the FNV-1a hash of 32 bits, then the
/// finaliser of MurmurHash3 for 32 bits, of which the lowest 15 bits are the slot. It is the same in
/// every version of this library. Another program can compute it, and check itself with these:
///
/// ```
/// use persisting_message_bus::backend::Slot;
///
/// for (key, slot) in [
///     ("42", 11_453),
///     ("4711", 11_295),
///     ("4294967295", 31_754),
///     ("orders", 31_048),
///     ("Zürich", 13_719),
///     ("01890a5d-ac96-774b-bcce-b302099a8057", 31_169),
/// ] {
///     assert_eq!(Slot::of(key).get(), slot, "{key}");
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(i16);

impl Slot {
    /// The slot of a message without a key, -1.
    pub const NONE: Self = Self(-1);

    /// The highest slot, 32,767.
    pub const MAX: Self = Self(i16::MAX);

    /// Returns the slot of a key's text.
    #[must_use]
    pub const fn of(key: &str) -> Self {
        let low = (finalised(fnv_1a(key)) & 0x7fff).to_le_bytes();
        Self(i16::from_le_bytes([low[0], low[1]]))
    }

    /// Returns the slot with this number; [`NONE`](Self::NONE) for a negative number.
    #[must_use]
    pub const fn new(number: i16) -> Self {
        if number < 0 { Self::NONE } else { Self(number) }
    }

    /// Returns the number as it is stored: 0 to 32,767, or -1 for no key.
    #[must_use]
    pub const fn get(self) -> i16 {
        self.0
    }

    /// Returns `true` if the message has no key.
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.0 < 0
    }
}

/// [`NONE`](Self::NONE).
impl Default for Slot {
    fn default() -> Self {
        Self::NONE
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Returns the FNV-1a hash of 32 bits.
pub(crate) const fn fnv_1a(text: &str) -> u32 {
    let bytes = text.as_bytes();
    let (mut hash, mut at) = (0x811c_9dc5_u32, 0);
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u32).wrapping_mul(0x0100_0193);
        at += 1;
    }
    hash
}

/// Mixes the bits. The low bits of FNV-1a alone are uneven for short keys.
const fn finalised(mut hash: u32) -> u32 {
    hash ^= hash >> 16;
    hash = hash.wrapping_mul(0x85eb_ca6b);
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(0xc2b2_ae35);
    hash ^ (hash >> 16)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const RANGES: usize = 64;

    #[test]
    fn slots_never_change() {
        let number = 42_u32.to_string();
        let uuid = Uuid::from_u128(0x0189_0a5d_ac96_774b_bcce_b302_099a_8057).to_string();
        for (key, slot) in [
            (&*number, 11_453),
            ("orders", 31_048),
            (&uuid, 31_169),
            ("", 31_755),
        ] {
            assert_eq!(Slot::of(key).get(), slot, "{key}");
        }
    }

    #[test]
    fn slots_of_short_keys_spread_evenly() {
        let keys = 5_000;
        let mut counts = [0; RANGES];
        for key in 1..=keys {
            let slot = usize::from(Slot::of(&key.to_string()).get().unsigned_abs());
            counts[slot * RANGES / 32_768] += 1;
        }
        assert!(
            counts.iter().all(|count| *count <= 2 * keys / RANGES),
            "{counts:?}"
        );
    }

    #[test]
    fn a_negative_number_is_no_slot() {
        assert_eq!(Slot::new(i16::MIN), Slot::NONE);
        assert_eq!(Slot::new(i16::MAX), Slot::MAX);
        assert!(Slot::default().is_none());
        assert!(!Slot::new(0).is_none());
    }
}
