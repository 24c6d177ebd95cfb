use crate::message::slot::fnv_1a;

/// Returns the FNV-1a hash, which is the same in every version of this library, because publishers
/// and readers must agree.
pub(super) fn hash_of(text: &str) -> u32 {
    fnv_1a(text)
}
