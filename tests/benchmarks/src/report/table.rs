use comfy_table::{CellAlignment, Table, presets};

use crate::measure::Samples;
use crate::results::Comparison;

const HEADER: [&str; 8] = [
    "database",
    "scenario",
    "case",
    "library/s",
    "spread",
    "driver/s",
    "spread",
    "ratio",
];

/// How many of the columns are texts.
const TEXTS: usize = 3;

/// A row for each comparison.
pub fn of(comparisons: &[Comparison]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    fill(&mut table, comparisons);
    table
}

/// Likewise, in Markdown.
pub fn markdown(comparisons: &[Comparison]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    fill(&mut table, comparisons);
    table
}

fn fill(table: &mut Table, comparisons: &[Comparison]) {
    table.set_header(HEADER);
    for comparison in comparisons {
        let Comparison {
            backend,
            scenario,
            series,
            axis,
            at,
            library,
            raw,
            ratio,
            ..
        } = comparison;
        table.add_row([
            (*backend).to_owned(),
            (*scenario).to_owned(),
            format!("{series}, {at} {axis}"),
            rate(library.median),
            spread(library),
            format!("{} ({})", rate(raw.median), raw.way),
            spread(raw),
            format!("{ratio:.2}"),
        ]);
    }
    for column in table.column_iter_mut().skip(TEXTS) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}

fn spread(samples: &Samples) -> String {
    format!("{}..{}", rate(samples.min), rate(samples.max))
}

fn rate(per_second: f64) -> String {
    match per_second {
        rate if rate < 100.0 => format!("{rate:.1}"),
        rate => with_separators(rate.round() as u64),
    }
}

fn with_separators(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
