//! `sqlx_publisher` mails each order of its two runs once.

use std::process::Command;

use super::text_of;

#[test]
fn sqlx_publisher_mails_each_order_of_two_runs_once() {
    let folder = tempfile::tempdir().unwrap();
    let run = || {
        let output = Command::new(env!("CARGO_BIN_EXE_sqlx_publisher"))
            .current_dir(&folder)
            .output();
        text_of(output.unwrap())
    };
    let expected = |order: u64| {
        let next = order + 1;
        format!(
            "      placed order {order}\n      placed order {next}\n   {order}  mailed order {order}: \
             1250 cents\n   {next}  mailed order {next}: 9900 cents\nCaught up.\n"
        )
    };
    assert_eq!(run(), expected(1));
    assert_eq!(run(), expected(3));
}
