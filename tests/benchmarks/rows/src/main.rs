//! A row server. `./benchmark --against COMMIT` starts two of them, with different versions of the
//! library.

use std::io::{stdin, stdout};

use benchmark_rows::{Failure, serving};

fn main() -> Result<(), Failure> {
    if std::env::args().nth(1).as_deref() != Some(serving::NAME) {
        return Err("this is for ./benchmark --against COMMIT to start".into());
    }
    serving::serve(stdin().lock(), stdout().lock())
}
