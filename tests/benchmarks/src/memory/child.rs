//! The consuming process.

use std::fs;

use benchmark_rows::Failure;
use benchmark_rows::backends::{Backend, Mariadb, Postgres, Sqlite};
use benchmark_rows::consume::{Kind, Task, consume};
use benchmark_rows::topic::Orders;

use crate::consume::by_hand;
use crate::with_driver::WithDriver;

/// The first argument of the process. The name of the database, its address, the way, the size of
/// the pages and the number of messages follow.
pub const NAME: &str = "consume-and-tell-memory";

/// If this process is such a child, consumes and prints the growth of its memory in KiB.
pub fn run(arguments: &[String]) -> Option<Result<(), Failure>> {
    let [name, backend, url, way, page, most] = arguments else {
        return None;
    };
    if name != NAME {
        return None;
    }
    let grown = match backend.as_str() {
        Postgres::NAME => grown_by::<Postgres>(url, way, page, most),
        Mariadb::NAME => grown_by::<Mariadb>(url, way, page, most),
        _ => grown_by::<Sqlite<true>>(url, way, page, most),
    };
    Some(grown.map(|kib| println!("{kib}")))
}

fn grown_by<B: WithDriver>(url: &str, way: &str, page: &str, most: &str) -> Result<u64, Failure> {
    let task = Task {
        kind: Kind::External,
        page: page.parse()?,
        after: 0,
        most: most.parse()?,
    };
    if way == "library" {
        let mut connection = B::connect(url)?;
        let before = kib("VmRSS:")?;
        consume::<Orders, _>(&mut connection, task)?;
        Ok(kib("VmHWM:")?.saturating_sub(before))
    } else {
        let mut driver = B::connect_raw(url)?;
        let before = kib("VmRSS:")?;
        by_hand::consume::<Orders>(&mut driver, task)?;
        Ok(kib("VmHWM:")?.saturating_sub(before))
    }
}

/// Returns a figure in KiB that the system reports for this process: the current or the peak
/// memory.
fn kib(name: &str) -> Result<u64, Failure> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.split_whitespace().next());
    Ok(kib
        .ok_or("the system does not say how much memory this process has")?
        .parse()?)
}
