//! Mirrors of folders.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use benchmark_rows::Failure;

/// Makes the folder `to` equal to `from`. Equal files are not touched, because Cargo compares the
/// times of files.
pub fn mirror(from: &Path, to: &Path) -> Result<(), Failure> {
    let (wanted, found) = (files_in(from)?, files_in(to)?);
    for file in found.keys().filter(|file| !wanted.contains_key(*file)) {
        fs::remove_file(to.join(file))?;
    }
    for (file, content) in &wanted {
        if found.get(file) != Some(content) {
            let file = to.join(file);
            if let Some(folder) = file.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::write(file, content)?;
        }
    }
    Ok(())
}

/// Returns whether both folders have the same files.
pub fn are_same(one: &Path, other: &Path) -> Result<bool, Failure> {
    Ok(files_in(one)? == files_in(other)?)
}

/// Returns the files of a folder by their relative paths. The folder may be missing.
fn files_in(folder: &Path) -> Result<BTreeMap<PathBuf, Vec<u8>>, Failure> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        let entries = match fs::read_dir(&next) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.insert(path.strip_prefix(folder)?.to_owned(), fs::read(&path)?);
            }
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn a_mirror_has_the_same_files_and_those_that_were_the_same_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        for (file, content) in [("same", "1"), ("a/changed", "2"), ("a/b/new", "3")] {
            write(&from.join(file), content);
        }
        for (file, content) in [("same", "1"), ("a/changed", "0"), ("c/gone", "4")] {
            write(&to.join(file), content);
        }
        let long_ago = SystemTime::UNIX_EPOCH;
        let same = fs::File::open(to.join("same")).unwrap();
        same.set_modified(long_ago).unwrap();
        assert!(!are_same(&from, &to).unwrap());

        mirror(&from, &to).unwrap();

        assert!(are_same(&from, &to).unwrap());
        assert!(!to.join("c/gone").exists());
        assert_eq!(fs::read_to_string(to.join("a/changed")).unwrap(), "2");
        let same = fs::metadata(to.join("same")).unwrap();
        assert_eq!(same.modified().unwrap(), long_ago);
    }

    #[test]
    fn a_mirror_of_nothing_is_empty() {
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("to");
        write(&to.join("file"), "1");
        mirror(&folder.path().join("missing"), &to).unwrap();
        assert!(!to.join("file").exists());
    }

    fn write(file: &Path, content: &str) {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, content).unwrap();
    }
}
