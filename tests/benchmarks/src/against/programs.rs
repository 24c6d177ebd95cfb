//! The two programs that are compared, and how they are built.

use std::fs::{self, File, TryLockError};
use std::path::{self, Path, PathBuf};
use std::{env, fmt};

use benchmark_rows::Failure;
use serde::Serialize;

use super::building::{MAIN, ROWS, add_to_workspace, row_server};
use super::checkout::{Commit, check_out};
use super::git::git;
use super::mirror::{are_same, mirror};

/// The row servers of this checkout in its current state, and of the commit.
pub struct Programs {
    pub this: PathBuf,
    pub other: PathBuf,
    pub compared: Compared,
    /// A lock that keeps other processes from replacing the programs.
    _lock: Option<File>,
}

/// The versions that are compared.
#[derive(Debug, Serialize)]
pub struct Compared {
    /// This checkout: its commit, and whether files were changed since.
    pub this: String,
    /// The short name of the commit.
    pub other: String,
    /// `null` if no program was built for it.
    commit: Option<Commit>,
    /// The package that measures the commit's library.
    rows: Option<Rows>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Rows {
    /// This checkout's package, because the commit has none.
    Ours,
    /// The commit's package, which equals this checkout's.
    Own,
    /// The commit's package, which differs from this checkout's. A difference may come from the
    /// measurement.
    OwnButDifferent,
}

impl Programs {
    /// Returns existing programs, with a name for the commit.
    pub fn named(this: &Path, other: &Path, commit: &str) -> Self {
        let compared = Compared {
            this: this.display().to_string(),
            other: commit.to_owned(),
            commit: None,
            rows: None,
        };
        Self {
            this: this.to_owned(),
            other: other.to_owned(),
            compared,
            _lock: None,
        }
    }

    /// Builds both programs, and prints their versions on the terminal.
    pub fn build(commit: &str) -> Result<Self, Failure> {
        let here = env::current_dir()?;
        let commit = Commit::find(&here, commit)?;
        let folder = folder()?;
        let lock = lock(&folder)?;
        let this =
            row_server(&here, None, true).map_err(|cause| format!("this checkout: {cause}"))?;

        let checkout = folder.join("checkout");
        let rows = prepare(&here, &commit, &checkout)?;
        let Commit { short, subject, .. } = &commit;
        println!("{short} ({subject}): its library is measured by {rows}");
        // The commit's Cargo.lock does not include a package that was copied from this checkout.
        let locked = rows != Rows::Ours;
        let other = row_server(&checkout, Some(&folder.join("target")), locked)
            .map_err(|cause| format!("{short}, measured by {rows}: {cause}"))?;

        let compared = Compared {
            this: git(&here, &["describe", "--always", "--dirty"])?,
            other: short.clone(),
            rows: Some(rows),
            commit: Some(commit),
        };
        Ok(Self {
            this,
            other,
            compared,
            _lock: Some(lock),
        })
    }
}

/// Returns the folder in which the other side is built. It is kept, so that the next build is
/// shorter.
fn folder() -> Result<PathBuf, Failure> {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    let folder = path::absolute(target)?.join("against");
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

fn lock(folder: &Path) -> Result<File, Failure> {
    let lock = File::create(folder.join("lock"))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => {
            Err("another comparison runs in this checkout; wait until it ends".into())
        }
        Err(TryLockError::Error(cause)) => Err(cause.into()),
    }
}

/// Checks the commit out, and copies this checkout's measuring package if the commit has none.
fn prepare(here: &Path, commit: &Commit, checkout: &Path) -> Result<Rows, Failure> {
    let of_this = here.join(ROWS);
    if !commit.has(here, MAIN)? {
        check_out(here, commit, checkout, Some(ROWS))?;
        mirror(&of_this, &checkout.join(ROWS))?;
        add_to_workspace(checkout)?;
        return Ok(Rows::Ours);
    }
    check_out(here, commit, checkout, None)?;
    Ok(if are_same(&of_this, &checkout.join(ROWS))? {
        Rows::Own
    } else {
        Rows::OwnButDifferent
    })
}

impl fmt::Display for Rows {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ours => write!(
                formatter,
                "this checkout's {ROWS}, because the commit has none"
            ),
            Self::Own => write!(formatter, "its own {ROWS}, the same as this checkout's"),
            Self::OwnButDifferent => write!(
                formatter,
                "its own {ROWS}, which is different from this checkout's"
            ),
        }
    }
}
