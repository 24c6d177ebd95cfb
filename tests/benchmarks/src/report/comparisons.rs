use super::numbers::{rounded, with_separators};
use super::section::Section;
use crate::measure::Samples;
use crate::results::Comparison;

const HEADER: &[&str] = &[
    "case",
    "library/s",
    "min..max",
    "driver/s",
    "min..max",
    "by",
    "ratio",
    "min..max",
];

/// Returns a section for each scenario on each database.
pub fn sections(comparisons: &[Comparison]) -> Vec<Section> {
    let parts = comparisons
        .chunk_by(|one, next| (one.backend, one.scenario) == (next.backend, next.scenario));
    let sections = parts.map(|part| {
        let title = format!("{}: {}", part[0].backend, part[0].scenario);
        Section::new(title, HEADER, 1, part.iter().map(row))
    });
    sections.collect()
}

fn row(comparison: &Comparison) -> Vec<String> {
    let Comparison {
        series,
        axis,
        at,
        library,
        raw,
        ratio,
        ratios,
        ..
    } = comparison;
    vec![
        format!("{series}, {axis}: {}", with_separators(*at)),
        rounded(library.median),
        spread(library),
        rounded(raw.median),
        spread(raw),
        raw.way.to_owned(),
        format!("{ratio:.2}"),
        spread_of(ratios),
    ]
}

fn spread_of(ratios: &[f64]) -> String {
    let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
    let most = ratios.iter().copied().fold(0.0, f64::max);
    format!("{least:.2}..{most:.2}")
}

fn spread(samples: &Samples) -> String {
    format!("{}..{}", rounded(samples.min), rounded(samples.max))
}
