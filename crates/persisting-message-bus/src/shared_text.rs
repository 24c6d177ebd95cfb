use std::fmt;
use std::mem;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// Up to where texts share their memory: whoever keeps one keeps no more than this of the others.
const SHARED_BYTES: usize = 8 * 1024;

/// A text that lies beside others in one piece of memory.
#[derive(Clone)]
pub(crate) struct SharedText {
    texts: Arc<OnceLock<Box<str>>>,
    range: Range<usize>,
}

impl SharedText {
    /// Empty as long as its [`SharedTexts`] are not dropped.
    pub(crate) fn as_str(&self) -> &str {
        let texts = self.texts.get();
        let text = texts.and_then(|texts| texts.get(self.range.clone()));
        text.unwrap_or_default()
    }

    /// Moves to another text, if that lies in the same memory, and says whether it does: this costs less than to
    /// clone it.
    pub(crate) fn move_to(&mut self, other: &Self) -> bool {
        let is_beside = Arc::ptr_eq(&self.texts, &other.texts);
        if is_beside {
            self.range.clone_from(&other.range);
        }
        is_beside
    }
}

impl fmt::Debug for SharedText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(formatter)
    }
}

/// Collects texts, which can be read when it is dropped.
#[derive(Debug, Default)]
pub(crate) struct SharedTexts {
    collected: String,
    texts: Arc<OnceLock<Box<str>>>,
}

impl SharedTexts {
    pub(crate) fn add(&mut self, text: &str) -> SharedText {
        let start = self.collected.len();
        if start > 0 && start + text.len() > SHARED_BYTES {
            self.complete();
            return self.add(text);
        }
        self.collected.push_str(text);
        SharedText {
            texts: Arc::clone(&self.texts),
            range: start..self.collected.len(),
        }
    }

    fn complete(&mut self) {
        let texts = mem::take(&mut self.texts);
        // It is set here only, once for each piece.
        let _: Result<(), _> = texts.set(self.collected.as_str().into());
        self.collected.clear();
    }
}

impl Drop for SharedTexts {
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
        let mut shared = SharedTexts::default();
        let added: Vec<_> = texts.iter().map(|text| shared.add(text)).collect();
        drop(shared);
        let added: Vec<_> = added.iter().map(SharedText::as_str).collect();
        assert_eq!(added, texts);
    }

    #[test]
    fn a_text_moves_to_one_that_lies_beside_it() {
        let (mut here, mut there) = (SharedTexts::default(), SharedTexts::default());
        let (mut text, beside, elsewhere) = (here.add("a"), here.add("bc"), there.add("d"));
        drop((here, there));
        assert!(text.move_to(&beside));
        assert_eq!(text.as_str(), "bc");
        assert!(!text.move_to(&elsewhere));
        assert_eq!(text.as_str(), "bc");
    }

    #[test]
    fn who_keeps_a_text_keeps_few_of_the_others() {
        let mut shared = SharedTexts::default();
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
