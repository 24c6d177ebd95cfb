/// Returns the FNV-1a hash, which is the same in every version of this library, because publishers
/// and readers must agree.
pub(super) fn hash_of(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}
