//! The form of an answer, by the header `Accept` (RFC 9110, 12.5.1).

use axum::http::HeaderMap;
use axum::http::header::ACCEPT;
use mediatype::names::{_STAR, APPLICATION, JSON, TEXT};
use mediatype::{MediaType, MediaTypeList, Name, ReadParams};

const EVENTS: Form = Form(&[MediaType::new(TEXT, Name::new_unchecked("event-stream"))]);
/// A page is JSON, so a client that accepts any JSON accepts it, too.
const PAGE: Form = Form(&[
    MediaType::from_parts(
        APPLICATION,
        Name::new_unchecked("cloudevents-batch"),
        Some(JSON),
        &[],
    ),
    MediaType::new(APPLICATION, JSON),
]);

/// The names of a form. The first is its media type.
struct Form(&'static [MediaType<'static>]);

/// How much a client wants a form.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Wish {
    /// How exactly the header names the form: by all types, by its type, or by its name.
    specificity: u8,
    quality: f32,
}

/// Returns `true` if the client wants server-sent events more than a page. If it accepts neither,
/// it gets a page: RFC 9110 permits this, and many clients ask for another type of JSON.
pub(super) fn wants_events(headers: &HeaderMap) -> bool {
    let ranges: Vec<_> = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(MediaTypeList::new)
        .flatten()
        .collect();
    let (events, page) = (EVENTS.wish(&ranges), PAGE.wish(&ranges));
    let is_named = events.specificity == BY_NAME && page.specificity < BY_NAME;
    events.quality > page.quality
        || (events.quality > 0.0 && events.quality == page.quality && is_named)
}

const BY_NAME: u8 = 3;

impl Form {
    /// Returns the quality of the range that names this form most exactly.
    fn wish(&self, ranges: &[MediaType<'_>]) -> Wish {
        let wishes = ranges.iter().map(|range| Wish {
            specificity: self.specificity(range),
            quality: quality(range),
        });
        let named = wishes.filter(|wish| wish.specificity > 0);
        named
            .reduce(|best, wish| {
                let is_better = (wish.specificity, wish.quality) > (best.specificity, best.quality);
                if is_better { wish } else { best }
            })
            .unwrap_or_default()
    }

    fn specificity(&self, range: &MediaType<'_>) -> u8 {
        let is = |name: &MediaType<'_>| {
            name.ty == range.ty && name.subty == range.subty && name.suffix == range.suffix
        };
        if self.0.iter().any(is) {
            BY_NAME
        } else if range.subty != _STAR || range.suffix.is_some() {
            0
        } else if range.ty == _STAR {
            1
        } else {
            2 * u8::from(self.0.iter().any(|name| name.ty == range.ty))
        }
    }
}

/// Returns the weight of a range. An unreadable weight counts as 0, because the range is refused
/// then.
fn quality(range: &MediaType<'_>) -> f32 {
    let Some(weight) = range.get_param(Name::new_unchecked("q")) else {
        return 1.0;
    };
    let weight = weight.as_str().parse().unwrap_or(0.0_f32);
    if (0.0..=1.0).contains(&weight) {
        weight
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn wants(accept: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for value in accept {
            headers.append(
                ACCEPT,
                HeaderValue::from_str(value).unwrap_or(HeaderValue::from_static("")),
            );
        }
        wants_events(&headers)
    }

    #[test]
    fn events_are_sent_to_clients_that_want_them_more_than_a_page() {
        for accept in [
            &["text/event-stream"][..],
            &["Text/Event-Stream; charset=utf-8"],
            &["text/event-stream, */*"],
            &["text/event-stream", "*/*;q=0.9"],
            &["application/json;q=0.5, text/event-stream;q=0.501"],
            &["application/json;q=0, text/*;q=0.001"],
            &["text/event-stream;Q=1.000"],
            &["text/plain;a=\"text/event-stream;q=0,\", text/event-stream;q=0.1"],
            &["*/*;q=0, text/event-stream"],
        ] {
            assert!(wants(accept), "{accept:?}");
        }
    }

    #[test]
    fn other_clients_get_a_page() {
        for accept in [
            &[][..],
            &[""],
            &["*/*"],
            &["text/*, */*"],
            &["text/html, application/xml;q=0.9, */*;q=0.8"],
            &["text/event-stream;q=0"],
            &["text/event-stream;q=0, application/json"],
            &["text/event-stream;q=0", "text/*"],
            &["text/*, text/event-stream;q=0"],
            &["text/event-stream;q=0.000, */*"],
            &["application/cloudevents-batch+json, text/event-stream;q=0.1"],
            &["application/json, text/event-stream"],
            &["application/json, text/event-stream;q=0.9, */*;q=0.8"],
            &["text/event-stream;q=2"],
            &["text/event-stream;q=nan"],
            &["text/event-streams"],
            &["image/png"],
            &["a=\"text/event-stream"],
        ] {
            assert!(!wants(accept), "{accept:?}");
        }
    }
}
