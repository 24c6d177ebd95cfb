use std::hint::black_box;
use std::time::Instant;

use persisting_message_bus::Topic;
use uuid::Uuid;

use super::Kind;
use crate::Failure;
use crate::measure::Way;
use crate::raw::{Decode, PageQuery, RawDriver, Row};
use crate::topic::Orders;

/// Consumes all that there is, each time from the start.
pub fn consuming<D, S>(mut driver: D, kind: Kind, page_size: usize) -> Way
where
    D: RawDriver,
    S: Decode,
{
    Box::new(move || {
        let consumer = format!("by hand {}", Uuid::now_v7());
        driver.add_consumer(&consumer, Orders::NAME)?;
        let mut cursor = 0;
        let mut handled = 0;
        let begun = Instant::now();
        loop {
            let read = match kind {
                Kind::External => page::<D, S>(&mut driver, &consumer, &mut cursor, page_size)?,
                Kind::Transactional => {
                    driver.begin()?;
                    let read = page::<D, S>(&mut driver, &consumer, &mut cursor, page_size)?;
                    driver.commit()?;
                    read
                }
            };
            handled += read;
            if read < page_size {
                return Ok(handled as f64 / begun.elapsed().as_secs_f64());
            }
        }
    })
}

/// Handles a page, and stores the cursor behind it.
fn page<D: RawDriver, S: Decode>(
    driver: &mut D,
    consumer: &str,
    cursor: &mut i64,
    page_size: usize,
) -> Result<usize, Failure> {
    let page = PageQuery {
        topic: Orders::NAME,
        message_type: S::MESSAGE_TYPE,
        after: *cursor,
        limit: page_size,
    };
    let read = driver.read_page(&page, &mut |row: Row<'_>| {
        let message = S::decode(&row)?;
        *cursor = row.id;
        black_box((row, message));
        Ok(())
    })?;
    driver.store_cursor(consumer, Orders::NAME, *cursor)?;
    Ok(read)
}
