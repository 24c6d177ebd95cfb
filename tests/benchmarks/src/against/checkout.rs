//! A folder with the files of another commit. All commits share one folder, so that Cargo
//! recompiles only the differences from the last commit, and not all dependencies.

use std::fs;
use std::path::{Path, PathBuf};

use benchmark_rows::Failure;
use serde::Serialize;

use super::git::git;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Commit {
    /// The full hash.
    pub hash: String,
    /// The shortest unique prefix of the hash.
    pub short: String,
    pub subject: String,
}

impl Commit {
    /// Finds a commit by any name that git knows, in the repository that contains the folder.
    pub fn find(repository: &Path, name: &str) -> Result<Self, Failure> {
        let name = format!("{name}^{{commit}}");
        let hash = git(
            repository,
            &["rev-parse", "--verify", "--end-of-options", &name],
        )?;
        Ok(Self {
            short: git(repository, &["rev-parse", "--short", &hash])?,
            subject: git(repository, &["log", "-1", "--format=%s", &hash])?,
            hash,
        })
    }

    /// Returns whether the commit has this file.
    pub fn has(&self, repository: &Path, file: &str) -> Result<bool, Failure> {
        let files = git(
            repository,
            &["ls-tree", "--name-only", &self.hash, "--", file],
        )?;
        Ok(!files.is_empty())
    }
}

/// Makes the folder a worktree of the repository with the files of the commit. Changed files are
/// restored, and files that git does not know are deleted, except those in `kept`.
pub fn check_out(
    repository: &Path,
    commit: &Commit,
    folder: &Path,
    kept: Option<&str>,
) -> Result<(), Failure> {
    if !is_worktree(folder) {
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        let path = folder.to_str().ok_or("a folder whose path is not UTF-8")?;
        // `--force` twice: if the worktree was deleted, git still knows it, perhaps as locked.
        let add = ["worktree", "add", "--force", "--force", "--detach", path];
        git(repository, &[&add[..], &[&commit.hash]].concat())?;
        return Ok(());
    }
    git(
        folder,
        &["checkout", "--quiet", "--force", "--detach", &commit.hash],
    )?;
    let except = kept.map(|kept| format!("--exclude=/{kept}"));
    let clean = ["clean", "--quiet", "-ffdx"].into_iter();
    let clean: Vec<_> = clean.chain(except.as_deref()).collect();
    git(folder, &clean)?;
    Ok(())
}

/// Returns whether the folder itself is a worktree. If not, git would change the worktree around
/// it.
fn is_worktree(folder: &Path) -> bool {
    let top = || -> Result<PathBuf, Failure> {
        let top = git(folder, &["rev-parse", "--show-toplevel"])?;
        Ok(fs::canonicalize(top)?)
    };
    match (top(), fs::canonicalize(folder)) {
        (Ok(top), Ok(folder)) => top == folder,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    /// Creates a repository with commits whose only file is `file`, with these contents, and an
    /// ignored folder in it.
    fn repository(contents: &[&str]) -> (TempDir, Vec<Commit>) {
        let repository = tempfile::tempdir().unwrap();
        let path = repository.path();
        git(path, &["init", "--quiet"]).unwrap();
        fs::write(path.join(".gitignore"), "/target\n").unwrap();
        let commits = contents.iter().map(|content| {
            fs::write(path.join("file"), content).unwrap();
            git(path, &["add", "--all"]).unwrap();
            let author = ["-c", "user.name=A", "-c", "user.email=a@example.org"];
            let commit = ["commit", "--quiet", "--no-gpg-sign", "--message", content];
            git(path, &[&author[..], &commit].concat()).unwrap();
            Commit::find(path, "HEAD").unwrap()
        });
        let commits = commits.collect();
        fs::create_dir(path.join("target")).unwrap();
        (repository, commits)
    }

    fn file(folder: &Path) -> String {
        fs::read_to_string(folder.join("file")).unwrap()
    }

    #[test]
    fn a_commit_is_found_by_any_name_and_has_files() {
        let (repository, commits) = repository(&["one", "two"]);
        let found = Commit::find(repository.path(), "HEAD~1").unwrap();
        assert_eq!(found, commits[0]);
        assert_eq!(found.subject, "one");
        assert!(found.hash.starts_with(&found.short));
        assert!(found.has(repository.path(), "file").unwrap());
        assert!(!found.has(repository.path(), "folder/file").unwrap());

        let error = Commit::find(repository.path(), "nonsense").unwrap_err();
        assert!(error.to_string().contains("nonsense"), "{error}");
    }

    #[test]
    fn one_folder_has_one_commit_after_the_other_without_what_was_changed() {
        let (repository, commits) = repository(&["one", "two"]);
        let path = repository.path();
        let folder = path.join("target/checkout");
        for (turn, commit) in [&commits[0], &commits[1], &commits[0]]
            .into_iter()
            .enumerate()
        {
            check_out(path, commit, &folder, Some("kept")).unwrap();
            assert_eq!(file(&folder), commit.subject);
            assert!(!folder.join("gone").exists());
            assert_eq!(folder.join("kept").exists(), turn > 0);
            for new in ["file", "gone", "kept"] {
                fs::write(folder.join(new), "changed").unwrap();
            }
        }
        check_out(path, &commits[0], &folder, None).unwrap();
        assert!(!folder.join("kept").exists());
        assert_eq!(file(path), "two", "the checkout around it");
    }

    #[test]
    fn a_deleted_worktree_is_recreated() {
        let (repository, commits) = repository(&["one"]);
        let path = repository.path();
        let folder = path.join("target/checkout");
        for prune in [false, true] {
            check_out(path, &commits[0], &folder, None).unwrap();
            fs::remove_dir_all(&folder).unwrap();
            if prune {
                git(path, &["worktree", "prune"]).unwrap();
            }
            check_out(path, &commits[0], &folder, None).unwrap();
            assert_eq!(file(&folder), "one");
        }
    }

    #[test]
    fn a_folder_that_is_no_worktree_becomes_one_and_the_checkout_around_it_is_left_alone() {
        let (repository, commits) = repository(&["one", "two"]);
        let path = repository.path();
        fs::write(path.join("file"), "changed").unwrap();
        fs::write(path.join("new"), "new").unwrap();
        let folder = path.join("target/checkout");
        fs::create_dir(&folder).unwrap();

        check_out(path, &commits[0], &folder, None).unwrap();

        assert_eq!(file(&folder), "one");
        assert_eq!(file(path), "changed");
        assert!(path.join("new").exists());
    }
}
