use std::hint::black_box;
use std::time::Instant;

use benchmark_rows::consume::{Kind, Task};
use benchmark_rows::topic::Orders;
use benchmark_rows::{Done, Failure};
use persisting_message_bus::Topic;
use uuid::Uuid;

use crate::raw::{Decode, PageQuery, RawDriver};

/// Consumes with a new consumer.
pub fn consume<S: Decode>(driver: &mut impl RawDriver, task: Task) -> Result<Done, Failure> {
    let consumer = format!("by hand {}", Uuid::now_v7());
    driver.add_consumer(&consumer, Orders::NAME)?;
    let mut cursor = task.after;
    let mut handled = 0;
    let begun = Instant::now();
    while handled < task.most {
        let read = match task.kind {
            Kind::External => page::<S>(driver, &consumer, &mut cursor, task.page)?,
            Kind::Transactional => {
                driver.begin()?;
                let read = page::<S>(driver, &consumer, &mut cursor, task.page)?;
                driver.commit()?;
                read
            }
        };
        handled += read;
        if read < task.page {
            break;
        }
    }
    Ok(Done::since(begun, handled))
}

/// Handles a page, and stores the cursor after it.
fn page<S: Decode>(
    driver: &mut impl RawDriver,
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
    let read = driver.read_page(&page, &mut |row| {
        let message = S::decode(&row)?;
        *cursor = row.id;
        black_box((row, message));
        Ok(())
    })?;
    driver.store_cursor(consumer, Orders::NAME, *cursor)?;
    Ok(read)
}
