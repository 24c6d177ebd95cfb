use std::time::Instant;

use comfy_table::{CellAlignment, Table, presets::UTF8_BORDERS_ONLY};
use diesel::QueryResult;

use crate::store::{Carrier, Store};

/// Prints the throughput to standard error, separate from the table.
pub fn speed(what: &str, messages: u64, begun: Instant) {
    let seconds = begun.elapsed().as_secs_f64();
    let rate = messages as f64 / seconds;
    eprintln!("{what} {messages} messages in {seconds:.2} s: {rate:.0} messages/s");
}

/// Returns a table of the delays and cancellations of each carrier, and of all carriers.
pub fn table<C: Store>(connection: &mut C) -> QueryResult<Table> {
    let carriers = connection.carriers()?;
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
