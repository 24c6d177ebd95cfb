//! A plot for each series: the rates, and next to them the ratios.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use benchmark_rows::Failure;
use plotters::coord::combinators::BindKeyPoints;
use plotters::prelude::*;

use crate::results::Comparison;

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

const SIZE: (u32, u32) = (1_100, 420);

/// The height of the title and the legend. They are above the charts, so that the legend covers no
/// line.
const TOP: u32 = 76;

/// Returns the colour of a database, which is the same on every plot.
fn colour_of(backend: &str) -> RGBColor {
    match backend {
        "sqlite" => RGBColor(0x29, 0x80, 0xb9),
        "sqlite (NORMAL)" => RGBColor(0x16, 0xa0, 0x85),
        "postgres" => RGBColor(0x8e, 0x44, 0xad),
        "mariadb" => RGBColor(0xd3, 0x5f, 0x00),
        _ => RGBColor(0x2c, 0x3e, 0x50),
    }
}

/// Points along an axis.
type Line = Vec<(f64, f64)>;

/// Draws the series that have more than one point, and returns the names of the files.
pub fn draw(comparisons: &[Comparison], folder: &Path) -> Result<Vec<String>, Failure> {
    let mut series = BTreeMap::<_, Vec<&Comparison>>::new();
    for comparison in comparisons {
        let key = (comparison.scenario, &comparison.series);
        series.entry(key).or_default().push(comparison);
    }
    let mut files = Vec::new();
    for ((scenario, name), points) in series {
        let at = points.iter().map(|point| point.at);
        if at.clone().min() == at.max() {
            continue;
        }
        let title = format!("{scenario}: {name}");
        let file = format!("{}.svg", file_name(&title));
        let path = folder.join(&file);
        draw_series(&path, &title, &points)
            .map_err(|cause| format!("{}: {cause}", path.display()))?;
        files.push(file);
    }
    Ok(files)
}

fn file_name(title: &str) -> String {
    let words = title.split(|letter: char| !letter.is_ascii_alphanumeric());
    let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
    words.join("-")
}

/// Draws one series. The error is a text, because errors of a drawing borrow its path.
fn draw_series(path: &Path, title: &str, points: &[&Comparison]) -> Result<(), String> {
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    let drawn = || -> Result<(), DrawingAreaErrorKind<_>> {
        root.fill(&WHITE)?;
        let (top, charts) = root.split_vertically(TOP);
        let (left, right) = charts.split_horizontally(SIZE.0 * 6 / 10);
        let library = lines(points, |point| point.library.median);
        let driver = lines(points, |point| point.raw.median);
        draw_legend(&top, title, library.keys().copied())?;
        draw_rates(&left, points[0].axis, &library, &driver)?;
        draw_ratios(&right, points[0].axis, &lines(points, |point| point.ratio))?;
        root.present()
    };
    drawn().map_err(|cause| cause.to_string())
}

fn lines(
    points: &[&Comparison],
    value: impl Fn(&Comparison) -> f64,
) -> BTreeMap<&'static str, Line> {
    let mut lines = BTreeMap::<_, Line>::new();
    for point in points {
        let line = lines.entry(point.backend).or_default();
        line.push((point.at as f64, value(point)));
    }
    lines
}

type Drawn<'a> = Result<(), DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>>;

/// Draws the title, and below it the name of each line of the charts.
fn draw_legend<'a>(
    area: &Area<'a>,
    title: &str,
    backends: impl Iterator<Item = &'static str>,
) -> Drawn<'a> {
    const ENTRY_WIDTH: i32 = 220;
    area.draw(&Text::new(
        title.to_owned(),
        (20, 8),
        ("sans-serif", 20).into_font(),
    ))?;
    for (backend, x) in backends.zip((20..).step_by(ENTRY_WIDTH as usize)) {
        let colour = colour_of(backend);
        let ways = [
            ("library", colour.to_rgba(), 40),
            ("driver", colour.mix(0.4), 60),
        ];
        for (way, style, y) in ways {
            let line = [(x, y), (x + 24, y)];
            area.draw(&PathElement::new(line, style.stroke_width(3)))?;
            let name = format!("{backend}, {way}");
            let font = ("sans-serif", 15).into_font();
            area.draw(&Text::new(name, (x + 30, y - 7), font))?;
        }
    }
    Ok(())
}

fn draw_rates<'a>(
    area: &Area<'a>,
    axis: &str,
    library: &BTreeMap<&'static str, Line>,
    driver: &BTreeMap<&'static str, Line>,
) -> Drawn<'a> {
    let all = || library.values().chain(driver.values()).flatten();
    let rates = within(all().map(|point| point.1));
    let rates = rates.start / 2.0..rates.end * 2.0;
    let x = within(all().map(|point| point.0)).log_scale();
    let y = rates.clone().log_scale();
    let mut chart = ChartBuilder::on(area)
        .margin(10)
        .margin_right(30)
        .x_label_area_size(44)
        .y_label_area_size(90)
        .build_cartesian_2d(
            x.with_key_points(measured(library)),
            y.with_key_points(decades(&rates)),
        )?;
    chart
        .configure_mesh()
        .x_desc(axis)
        .y_desc("messages/s")
        .x_label_formatter(&|value| thousands(*value))
        .y_label_formatter(&|value| thousands(*value))
        .label_style(("sans-serif", 13))
        .light_line_style(WHITE)
        .draw()?;
    for (backend, line) in library {
        let style = colour_of(backend).stroke_width(2);
        chart.draw_series(LineSeries::new(line.iter().copied(), style).point_size(3))?;
    }
    for (backend, line) in driver {
        let pale = colour_of(backend).mix(0.4).stroke_width(2);
        chart.draw_series(LineSeries::new(line.iter().copied(), pale))?;
    }
    Ok(())
}

fn draw_ratios<'a>(
    area: &Area<'a>,
    axis: &str,
    ratios: &BTreeMap<&'static str, Line>,
) -> Drawn<'a> {
    let highest = ratios.values().flatten().map(|point| point.1);
    let highest = highest.fold(1.2, f64::max);
    let even = within(ratios.values().flatten().map(|point| point.0));
    let mut chart = ChartBuilder::on(area)
        .margin(10)
        .margin_right(30)
        .x_label_area_size(44)
        .y_label_area_size(60)
        .build_cartesian_2d(
            even.clone().log_scale().with_key_points(measured(ratios)),
            0.0..highest * 1.1,
        )?;
    chart
        .configure_mesh()
        .x_desc(axis)
        .y_desc("library / driver")
        .x_label_formatter(&|value| thousands(*value))
        .y_labels(6)
        .label_style(("sans-serif", 13))
        .light_line_style(WHITE)
        .draw()?;
    chart.draw_series(LineSeries::new([(even.start, 1.0), (even.end, 1.0)], BLACK))?;
    for (backend, line) in ratios {
        let style = colour_of(backend).stroke_width(2);
        chart.draw_series(LineSeries::new(line.iter().copied(), style).point_size(3))?;
    }
    Ok(())
}

/// Returns the measured points, without those that are too close to the previous one.
fn measured(lines: &BTreeMap<&'static str, Line>) -> Vec<f64> {
    const CLOSEST: f64 = 1.7;
    let mut all: Vec<f64> = lines.values().flatten().map(|point| point.0).collect();
    all.sort_by(f64::total_cmp);
    let mut kept: Vec<f64> = Vec::new();
    for at in all {
        if kept.last().is_none_or(|last| at >= last * CLOSEST) {
            kept.push(at);
        }
    }
    kept
}

/// Returns the powers of ten in a range. If there are few, adds two and five times each.
fn decades(range: &Range<f64>) -> Vec<f64> {
    let of = |factors: &[f64]| {
        let powers = (-1..12).map(|power| 10_f64.powi(power));
        let values = powers.flat_map(|power| factors.iter().map(move |factor| factor * power));
        values
            .filter(|value| range.contains(value))
            .collect::<Vec<_>>()
    };
    let fine = of(&[1.0, 2.0, 5.0]);
    if fine.len() <= 8 { fine } else { of(&[1.0]) }
}

/// Formats a number with thousands separators, such as 10,000.
fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Returns a range that contains all values.
fn within(values: impl Iterator<Item = f64> + Clone) -> Range<f64> {
    let lowest = values.clone().fold(f64::INFINITY, f64::min);
    lowest..values.fold(lowest, f64::max).max(lowest * 1.01)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_say_thousands_and_do_not_overlap() {
        assert_eq!(thousands(950.0), "950");
        assert_eq!(thousands(10_000.0), "10,000");
        assert_eq!(thousands(1_234_567.0), "1,234,567");
        let lines = BTreeMap::from([(
            "sqlite",
            [1.0, 1.2, 100.0, 101.0].map(|at| (at, 1.0)).to_vec(),
        )]);
        assert_eq!(measured(&lines), [1.0, 100.0]);
        assert_eq!(
            decades(&(900.0..30_000.0)),
            [1_000.0, 2_000.0, 5_000.0, 10_000.0, 20_000.0]
        );
        assert_eq!(decades(&(1.0..1e6)).len(), 6);
    }
}
