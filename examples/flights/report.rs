use std::time::Instant;

use comfy_table::{CellAlignment, Table, presets::UTF8_BORDERS_ONLY};
use diesel::prelude::*;

use crate::projections::{carrier_cancellations, carrier_delays};

/// A carrier's line in the table.
#[derive(Debug, Default, Queryable)]
struct Carrier {
    name: String,
    departed: i64,
    departure_delay_minutes: i64,
    arrived: i64,
    arrival_delays: i64,
    arrival_delay_minutes: i64,
    cancelled: Option<i64>,
}

/// Says how fast that was, beside the table.
pub fn speed(what: &str, messages: u64, begun: Instant) {
    let seconds = begun.elapsed().as_secs_f64();
    let rate = messages as f64 / seconds;
    eprintln!("{what} {messages} messages in {seconds:.2} s: {rate:.0} messages/s");
}

/// The delays and cancellations of each carrier, and of all.
pub fn table(connection: &mut SqliteConnection) -> QueryResult<Table> {
    let carriers = carriers(connection)?;
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY).set_header([
        "carrier",
        "flights",
        "departed",
        "average delay",
        "arrived",
        "average delay",
        "cancelled",
    ]);
    let mut all = Carrier {
        name: "all".to_owned(),
        ..Carrier::default()
    };
    for carrier in &carriers {
        all.departed += carrier.departed;
        all.departure_delay_minutes += carrier.departure_delay_minutes;
        all.arrived += carrier.arrived;
        all.arrival_delays += carrier.arrival_delays;
        all.arrival_delay_minutes += carrier.arrival_delay_minutes;
        *all.cancelled.get_or_insert_default() += carrier.cancelled.unwrap_or(0);
        table.add_row(cells(carrier));
    }
    table.add_row(cells(&all));
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    Ok(table)
}

fn carriers(connection: &mut SqliteConnection) -> QueryResult<Vec<Carrier>> {
    use carrier_delays::dsl;
    let same_carrier = carrier_cancellations::carrier.eq(dsl::carrier);
    dsl::carrier_delays
        .left_join(carrier_cancellations::table.on(same_carrier))
        .select((
            dsl::carrier,
            dsl::departed,
            dsl::departure_delay_minutes,
            dsl::arrived,
            dsl::arrival_delays,
            dsl::arrival_delay_minutes,
            carrier_cancellations::cancelled.nullable(),
        ))
        .order((dsl::departed.desc(), dsl::carrier))
        .load(connection)
}

fn cells(carrier: &Carrier) -> [String; 7] {
    let cancelled = carrier.cancelled.unwrap_or(0);
    [
        carrier.name.clone(),
        (carrier.departed + cancelled).to_string(),
        carrier.departed.to_string(),
        average(carrier.departure_delay_minutes, carrier.departed),
        carrier.arrived.to_string(),
        average(carrier.arrival_delay_minutes, carrier.arrival_delays),
        cancelled.to_string(),
    ]
}

fn average(minutes: i64, flights: i64) -> String {
    match flights {
        0 => "-".to_owned(),
        _ => format!("{:.1} min", minutes as f64 / flights as f64),
    }
}
