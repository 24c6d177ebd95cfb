//! Golden files of the topic `invoices`.

use std::fs;
use std::path::Path;
use std::process::Command;

use persisting_message_bus::Topic;
use persisting_message_bus::testing::Golden;
use persisting_message_bus_tests::topics::invoices::{InvoiceSent, Invoices, Reminded};

use super::complaint;

const GOLDEN: &str = "data/invoices.golden.json";

fn invoices(path: &Path) -> Golden<Invoices> {
    Golden::new(path)
        .sample(&InvoiceSent {
            invoice: 1,
            cents: 1_250,
            currency: "EUR".to_owned(),
        })
        .sample(&Reminded { invoice: 1 })
}

#[test]
fn the_wire_form_of_invoices_has_not_changed() {
    invoices(Path::new(GOLDEN)).check();
}

/// Changes the golden file, checks against it, and returns the text of the panic.
fn complaint_after(change: impl FnOnce(String) -> String) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("invoices.json");
    fs::write(&path, change(fs::read_to_string(GOLDEN).unwrap())).unwrap();
    complaint(move || invoices(&path).check())
}

#[test]
fn a_changed_wire_form_is_shown_line_by_line() {
    for (kept, shown) in [
        ("\"version\": 3", "-      \"version\": 2"),
        ("\"cents\"", "-        \"pence\": 1250"),
    ] {
        let before = match kept {
            "\"version\": 3" => "\"version\": 2",
            _ => "\"pence\"",
        };
        let text = complaint_after(|file| file.replacen(kept, before, 1));
        assert!(text.contains(shown), "{shown} in {text}");
        assert!(text.contains("UPDATE_GOLDEN=1"), "{text}");
    }
}

#[test]
fn the_order_of_fields_and_the_form_of_numbers_do_not_matter() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("invoices.json");
    let sent = "\"cents\": 1250,\n        \"currency\": \"EUR\",\n        \"invoice\": 1";
    let file = fs::read_to_string(GOLDEN).unwrap();
    assert!(file.contains(sent), "{file}");
    let other = "\"invoice\": 1, \"currency\": \"EUR\", \"cents\": 1250";
    fs::write(&path, file.replace(sent, other)).unwrap();
    invoices(&path).check();
    // A float is not an integer on the wire.
    let text = complaint_after(|file| file.replace("1250", "1250.0"));
    assert!(text.contains("1250.0"), "{text}");
}

#[test]
fn a_former_wire_form_must_always_decode() {
    let with_former = |former: &str| {
        let former = former.to_owned();
        move |file: String| {
            let end = file.rfind("\n}").unwrap();
            format!("{},\n  \"former\": [{former}]\n}}\n", &file[..end])
        }
    };
    let renamed = r#"{"name": "Warned", "version": 1, "sample": {"invoice": 1}}"#;
    let text = complaint_after(with_former(renamed));
    assert!(text.contains("Warned") && text.contains("alias"), "{text}");
    let changed = r#"{"name": "Reminded", "version": 1, "sample": {"number": 1}}"#;
    let text = complaint_after(with_former(changed));
    assert!(text.contains("missing field `invoice`"), "{text}");
}

#[test]
fn a_message_without_a_sample_is_named() {
    let text = complaint(|| {
        let sent = Reminded { invoice: 1 };
        Golden::<Invoices>::new(GOLDEN).sample(&sent).check();
    });
    assert!(text.contains("InvoiceSent"), "{text}");
}

/// Runs the check with `UPDATE_GOLDEN=1` in its own process: see the test below.
#[test]
fn check_the_golden_file_of_the_environment() {
    if let Ok(path) = std::env::var("GOLDEN_FILE") {
        invoices(Path::new(&path)).check();
    }
}

#[test]
fn a_change_can_be_accepted_when_the_former_wire_form_decodes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new folder").join("invoices.json");
    let update = || {
        Command::new(std::env::current_exe().unwrap())
            .args([
                "golden::check_the_golden_file_of_the_environment",
                "--exact",
            ])
            .env("GOLDEN_FILE", &path)
            .env("UPDATE_GOLDEN", "1")
            .output()
            .unwrap()
            .status
            .success()
    };
    assert!(update(), "there was no file");
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        fs::read_to_string(GOLDEN).unwrap()
    );

    let version_2 = fs::read_to_string(&path)
        .unwrap()
        .replacen("\"version\": 3", "\"version\": 2", 1)
        .replacen(
            "\"cents\": 1250,\n        \"currency\": \"EUR\",",
            "\"euros\": 12.5,",
            1,
        );
    fs::write(&path, version_2).unwrap();
    assert!(update(), "version 2 still decodes");
    let file = fs::read_to_string(&path).unwrap();
    assert!(
        file.contains("\"former\"") && file.contains("\"euros\": 12.5"),
        "{file}"
    );
    invoices(&path).check();

    let unreadable = file.replace("\"euros\": 12.5", "\"dollars\": 12.5");
    fs::write(&path, &unreadable).unwrap();
    assert!(!update(), "it cannot be accepted");
    assert_eq!(fs::read_to_string(&path).unwrap(), unreadable);
    assert_eq!(Invoices::NAME, "invoices");
}
