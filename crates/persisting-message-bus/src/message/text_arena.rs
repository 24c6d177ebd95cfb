use std::fmt;
use std::mem;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// The size up to which texts share memory. A text that is kept keeps at most this much of other
/// texts.
const SHARED_BYTES: usize = 8 * 1024;

/// A text that shares one piece of memory with other texts.
#[derive(Clone)]
pub(crate) struct TextSlice {
    texts: Arc<OnceLock<Box<str>>>,
    range: Range<usize>,
}

impl TextSlice {
    /// Returns the text. It is empty until its [`TextArena`] is dropped, or has filled the piece of
    /// memory.
    pub(crate) fn as_str(&self) -> &str {
        let texts = self.texts.get();
        let text = texts.and_then(|texts| texts.get(self.range.clone()));
        text.unwrap_or_default()
    }

    /// Moves to another text if both share the same memory; returns `true` in that case. A move is
    /// cheaper than a clone.
    pub(crate) fn move_to(&mut self, other: &Self) -> bool {
        let is_beside = Arc::ptr_eq(&self.texts, &other.texts);
        if is_beside {
            self.range.clone_from(&other.range);
        }
        is_beside
    }
}

impl fmt::Debug for TextSlice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(formatter)
    }
}

/// Collects texts, which are readable after it is dropped.
#[derive(Debug, Default)]
pub(crate) struct TextArena {
    collected: String,
    texts: Arc<OnceLock<Box<str>>>,
}

impl TextArena {
    pub(crate) fn add(&mut self, text: &str) -> TextSlice {
        let start = self.collected.len();
        if start > 0 && start + text.len() > SHARED_BYTES {
            self.complete();
            return self.add(text);
        }
        self.collected.push_str(text);
        TextSlice {
            texts: Arc::clone(&self.texts),
            range: start..self.collected.len(),
        }
    }

    fn complete(&mut self) {
        let texts = mem::take(&mut self.texts);
        // Only this function sets it, once for each piece.
        let _: Result<(), _> = texts.set(self.collected.as_str().into());
        self.collected.clear();
    }
}

impl Drop for TextArena {
    fn drop(&mut self) {
        self.complete();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_all_lengths_come_back_as_they_were() {
        let lengths = [
            0,
            1,
            17,
            SHARED_BYTES - 18,
            0,
            SHARED_BYTES,
            SHARED_BYTES + 1,
            3,
            0,
        ];
        let texts: Vec<_> = (0..100)
            .zip(lengths.into_iter().cycle())
            .map(|(number, length)| format!("\u{f8}{}", number.to_string().repeat(length)))
            .collect();
        let mut shared = TextArena::default();
        let added: Vec<_> = texts.iter().map(|text| shared.add(text)).collect();
        drop(shared);
        let added: Vec<_> = added.iter().map(TextSlice::as_str).collect();
        assert_eq!(added, texts);
    }

    #[test]
    fn a_text_moves_to_one_that_lies_beside_it() {
        let (mut here, mut there) = (TextArena::default(), TextArena::default());
        let (mut text, beside, elsewhere) = (here.add("a"), here.add("bc"), there.add("d"));
        drop((here, there));
        assert!(text.move_to(&beside));
        assert_eq!(text.as_str(), "bc");
        assert!(!text.move_to(&elsewhere));
        assert_eq!(text.as_str(), "bc");
    }

    #[test]
    fn a_kept_text_keeps_little_of_other_texts() {
        let mut shared = TextArena::default();
        let first = shared.add("first");
        for _ in 0..SHARED_BYTES {
            shared.add("another");
        }
        drop(shared);
        assert_eq!(first.as_str(), "first");
        assert_eq!(Arc::strong_count(&first.texts), 1);
        let kept = first.texts.get().map_or(0, |texts| texts.len());
        assert!(kept <= SHARED_BYTES, "{kept}");
    }
}
