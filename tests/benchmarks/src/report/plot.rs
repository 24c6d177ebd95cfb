//! A picture for each series: the rates, and beside them the ratios.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use benchmark_rows::Failure;
use plotters::prelude::*;

use crate::results::Comparison;

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

const SIZE: (u32, u32) = (1_100, 420);

/// The databases' colours, in the order of their names.
const COLOURS: [RGBColor; 4] = [
    RGBColor(0xc0, 0x39, 0x2b),
    RGBColor(0x29, 0x80, 0xb9),
    RGBColor(0x27, 0xae, 0x60),
    RGBColor(0x8e, 0x44, 0xad),
];

/// Points along an axis.
type Line = Vec<(f64, f64)>;

/// Draws those that have more than one point, and returns the names of the files.
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

/// The errors of a drawing borrow its path.
fn draw_series(path: &Path, title: &str, points: &[&Comparison]) -> Result<(), String> {
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    let drawn = || -> Result<(), DrawingAreaErrorKind<_>> {
        root.fill(&WHITE)?;
        let (left, right) = root.split_horizontally(SIZE.0 * 6 / 10);
        let library = lines(points, |point| point.library.median);
        let driver = lines(points, |point| point.raw.median);
        draw_rates(&left, title, points[0].axis, &library, &driver)?;
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

fn draw_rates<'a>(
    area: &Area<'a>,
    title: &str,
    axis: &str,
    library: &BTreeMap<&'static str, Line>,
    driver: &BTreeMap<&'static str, Line>,
) -> Drawn<'a> {
    let all = || library.values().chain(driver.values()).flatten();
    let rates = within(all().map(|point| point.1));
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 18))
        .margin(10)
        .x_label_area_size(40)
        .y_label_area_size(70)
        .build_cartesian_2d(
            within(all().map(|point| point.0)).log_scale(),
            (rates.start / 2.0..rates.end * 2.0).log_scale(),
        )?;
    chart
        .configure_mesh()
        .x_desc(axis)
        .y_desc("messages/s")
        .light_line_style(WHITE)
        .draw()?;
    for ((backend, line), colour) in library.iter().zip(COLOURS) {
        let series = LineSeries::new(line.iter().copied(), colour.stroke_width(2)).point_size(3);
        chart
            .draw_series(series)?
            .label(format!("{backend}, library"))
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], colour.stroke_width(2)));
    }
    for ((backend, line), colour) in driver.iter().zip(COLOURS) {
        let pale = colour.mix(0.4);
        let series = LineSeries::new(line.iter().copied(), pale.stroke_width(2));
        chart
            .draw_series(series)?
            .label(format!("{backend}, driver"))
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], pale.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .draw()
}

fn draw_ratios<'a>(
    area: &Area<'a>,
    axis: &str,
    ratios: &BTreeMap<&'static str, Line>,
) -> Drawn<'a> {
    let highest = ratios.values().flatten().map(|point| point.1);
    let highest = highest.fold(1.2, f64::max);
    let all = || ratios.values().flatten().map(|point| point.0);
    let mut chart = ChartBuilder::on(area)
        .caption("library by driver", ("sans-serif", 18))
        .margin(10)
        .x_label_area_size(40)
        .y_label_area_size(40)
        .build_cartesian_2d(within(all()).log_scale(), 0.0..highest * 1.1)?;
    chart
        .configure_mesh()
        .x_desc(axis)
        .light_line_style(WHITE)
        .draw()?;
    let even = within(all());
    chart.draw_series(LineSeries::new([(even.start, 1.0), (even.end, 1.0)], BLACK))?;
    for (line, colour) in ratios.values().zip(COLOURS) {
        let style = colour.stroke_width(2);
        chart.draw_series(LineSeries::new(line.iter().copied(), style).point_size(3))?;
    }
    Ok(())
}

/// A range with all of them.
fn within(values: impl Iterator<Item = f64> + Clone) -> Range<f64> {
    let lowest = values.clone().fold(f64::INFINITY, f64::min);
    lowest..values.fold(lowest, f64::max).max(lowest * 1.01)
}
