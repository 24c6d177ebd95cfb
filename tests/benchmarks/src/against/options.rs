use std::path::PathBuf;

use clap::{Args, value_parser};

/// The minimum number of pairs. Fewer cannot show a difference of a few percent on a machine with
/// other load.
const LEAST_PAIRS: u16 = 20;

#[derive(Args)]
#[command(next_help_heading = "Comparing with a commit")]
pub struct Options {
    /// Compares this checkout with that commit, row by row, instead of the library with the drivers
    #[arg(long, value_name = "COMMIT", conflicts_with_all = ["only", "quick", "full", "rounds"])]
    pub against: Option<String>,
    /// Measures only the rows whose names contain this text or, if it has a * or a ?, match it; can
    /// be given several times [default: all]
    #[arg(long, value_name = "PATTERN", requires = "against")]
    pub rows: Vec<String>,
    /// The number of pairs of turns for each row, at least 20
    #[arg(long, requires = "against", default_value_t = LEAST_PAIRS)]
    #[arg(value_parser = value_parser!(u16).range(1..=1_000))]
    pub pairs: u16,
    /// Compares these two existing row servers, whatever the commit
    #[arg(long, num_args = 2, value_names = ["THIS", "OTHER"], requires = "against", hide = true)]
    pub programs: Option<Vec<PathBuf>>,
}

impl Options {
    /// Returns an error that names the invalid option.
    pub fn check(&self, tiny: bool) -> Result<(), String> {
        if self.pairs < LEAST_PAIRS && !tiny {
            let pairs = self.pairs;
            return Err(format!(
                "--pairs {pairs} is too few to tell a difference from chance: at least {LEAST_PAIRS}"
            ));
        }
        Ok(())
    }
}
