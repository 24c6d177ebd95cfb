//! A program that runs turns of single rows on command, and keeps all connections open between
//! them.

mod amounts;
mod load;
mod protocol;
mod turns;

use std::io::{BufRead, Write};

use self::amounts::Amounts;
pub use self::load::Load;
pub use self::protocol::{Answer, Command, NAME, Places};
use self::turns::{Turns, TurnsOn};
use crate::Failure;
use crate::backends::{Mariadb, Postgres, Sqlite};

/// Executes the commands of the input, and writes answers to the output, until the input ends.
///
/// # Errors
///
/// If a line of the input is no command, or if the output is closed. A failure in a turn is an
/// answer.
pub fn serve(input: impl BufRead, mut output: impl Write) -> Result<(), Failure> {
    let mut commands = input.lines().map(|line| Ok(serde_json::from_str(&line?)?));
    let places = match commands.next() {
        Some(Ok(Command::Begin(places))) => places,
        Some(Err(cause)) => return Err(cause),
        _ => return Err("the first command must be `begin`".into()),
    };
    let backends = Backends::at(&places);
    let mut turns = backends.turns(&places);
    let rows = turns.iter().flat_map(|turns| turns.rows());
    say(&mut output, &Answer::Rows(rows.collect()))?;
    for command in commands {
        let answer = match command? {
            Command::Run(row) => run(&mut turns, &row),
            Command::Begin(_) => Answer::Failed("this has begun already".to_owned()),
        };
        say(&mut output, &answer)?;
    }
    Ok(())
}

fn run(turns: &mut [Box<dyn Turns + '_>], row: &str) -> Answer {
    match turns.iter_mut().find_map(|turns| turns.turn(row)) {
        Some(Ok(done)) => Answer::Done(done),
        Some(Err(cause)) => Answer::Failed(format!("{row}: {cause}")),
        None => Answer::Failed(format!("there is no row {row}")),
    }
}

fn say(output: &mut impl Write, answer: &Answer) -> Result<(), Failure> {
    writeln!(output, "{}", serde_json::to_string(answer)?)?;
    Ok(output.flush()?)
}

/// The backends that have an address.
struct Backends {
    sqlite: Option<Sqlite<true>>,
    postgres: Option<Postgres>,
    mariadb: Option<Mariadb>,
}

impl Backends {
    fn at(places: &Places) -> Self {
        Self {
            sqlite: places.sqlite.clone().map(Sqlite),
            postgres: places.postgres.clone().map(Postgres),
            mariadb: places.mariadb.clone().map(Mariadb),
        }
    }

    fn turns(&self, places: &Places) -> Vec<Box<dyn Turns + '_>> {
        let amounts = if places.tiny {
            Amounts::TINY
        } else {
            Amounts::USUAL
        };
        let mut all: Vec<Box<dyn Turns>> = Vec::new();
        if let Some(sqlite) = &self.sqlite {
            all.push(Box::new(TurnsOn::new(sqlite, &places.name, amounts)));
        }
        if let Some(postgres) = &self.postgres {
            all.push(Box::new(TurnsOn::new(postgres, &places.name, amounts)));
        }
        if let Some(mariadb) = &self.mariadb {
            all.push(Box::new(TurnsOn::new(mariadb, &places.name, amounts)));
        }
        all
    }
}
