use std::fmt::Display;
use std::time::Duration;

use benchmark_rows::Failure;
use indicatif::{ProgressBar, ProgressStyle};

/// A progress bar in the terminal.
pub struct Progress(ProgressBar);

impl Progress {
    pub fn of(steps: usize) -> Result<Self, Failure> {
        let bar = ProgressBar::new(steps as u64);
        let style = "{elapsed_precise} {bar:30} {pos}/{len} {wide_msg}";
        bar.set_style(ProgressStyle::with_template(style)?);
        bar.enable_steady_tick(Duration::from_millis(200));
        Ok(Self(bar))
    }

    /// Shows the step that begins.
    pub fn begin(&self, step: &impl Display) {
        if self.0.is_hidden() {
            eprintln!("{step}");
        }
        self.0.set_message(step.to_string());
    }

    pub fn done(&self) {
        self.0.inc(1);
    }

    pub fn finish(&self) {
        self.0.finish_and_clear();
    }
}
