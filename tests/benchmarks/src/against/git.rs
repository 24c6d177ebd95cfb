use std::path::Path;
use std::process::Command;

use benchmark_rows::Failure;

/// Runs git in the folder, and returns its output.
pub fn git(folder: &Path, arguments: &[&str]) -> Result<String, Failure> {
    let output = command(folder)
        .args(arguments)
        .output()
        .map_err(|cause| format!("git: {cause}"))?;
    if !output.status.success() {
        let problem = String::from_utf8_lossy(&output.stderr);
        let problem = problem.trim_end();
        return Err(format!("git {}: {problem}", arguments.join(" ")).into());
    }
    Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
}

/// Returns a git command for the repository that contains the folder. It ignores the environment of
/// a git hook that started this program, and runs no hooks.
fn command(folder: &Path) -> Command {
    let mut git = Command::new("git");
    git.arg("-C").arg(folder);
    git.args(["-c", "core.hooksPath=/dev/null"]);
    for of_another in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
        git.env_remove(of_another);
    }
    git
}
