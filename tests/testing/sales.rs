//! Golden files of earlier states of the topic `sales`.

use std::fs;
use std::path::PathBuf;

use persisting_message_bus::Topic;
use persisting_message_bus::backend::MessageOf;
use persisting_message_bus::testing::Golden;
use persisting_message_bus_tests::topics::OrderShipped;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use super::complaint;

#[derive(Serialize, Deserialize)]
struct Renamed {
    total_cents: Option<i64>,
}

#[derive(Topic)]
#[topic(name = "sales")]
enum Sales {
    Sold(Renamed),
}

#[derive(Topic)]
#[topic(name = "sales", retired = "CouponUsed")]
enum WithoutCoupons {
    Sold(OrderShipped),
}

/// Checks the topic that has retired its coupons against a file with this content.
fn check_sales_without_coupons(file: &str) {
    let (_folder, path) = golden_file(file);
    let sold = OrderShipped { order: 8 };
    Golden::<WithoutCoupons>::new(path).sample(&sold).check();
}

fn complaint_of_sales_without_coupons(file: &str) -> String {
    let file = file.to_owned();
    complaint(move || check_sales_without_coupons(&file))
}

fn golden_file(content: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sales.json");
    fs::write(&path, content).unwrap();
    (folder, path)
}

fn complaint_about(file: &str) -> String {
    let (_folder, path) = golden_file(file);
    let sold = Renamed {
        total_cents: Some(5),
    };
    assert_eq!(MessageOf::<Sales>::descriptor(&sold).name, "Sold");
    complaint(move || Golden::<Sales>::new(&path).sample(&sold).check())
}

#[test]
fn an_optional_field_that_was_renamed_is_lost_data() {
    let text = complaint_about(
        r#"{"topic": "sales",
            "messages": [{"name": "Sold", "version": 1, "sample": {"total_cents": 5}}],
            "former": [{"name": "Sold", "version": 1, "sample": {"total": 5}}]}"#,
    );
    assert!(text.contains("comes back as"), "{text}");
}

#[test]
fn an_alias_that_was_removed_orphans_messages() {
    let text = complaint_about(
        r#"{"topic": "sales",
            "messages": [{"name": "Sold", "version": 1, "sample": {"total_cents": 5}}],
            "former": [{"name": "Sold", "aliases": ["Sale"], "version": 1, "sample": {"total_cents": 5}}]}"#,
    );
    assert!(text.contains("the message type \"Sale\" of"), "{text}");
}

#[test]
fn a_message_type_that_disappeared_without_being_retired_orphans_messages() {
    let current = r#"{"name": "Sold", "version": 1, "sample": {"total_cents": 5}}"#;
    let gone = r#"{"name": "CouponUsed", "version": 1, "sample": {"coupon": 5}}"#;
    for file in [
        format!(r#"{{"topic": "sales", "messages": [{current}, {gone}]}}"#),
        format!(r#"{{"topic": "sales", "messages": [{current}], "former": [{gone}]}}"#),
        format!(r#"{{"topic": "sales", "messages": [{current}], "retired": ["CouponUsed"]}}"#),
    ] {
        let text = complaint_about(&file);
        for part in [
            "\"CouponUsed\"",
            "neither on topic \"sales\" nor retired",
            "add `retired = \"CouponUsed\"` to the topic",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}

#[test]
fn a_retired_type_is_shown_until_it_is_accepted() {
    let message = r#"{"name": "Sold", "version": 1, "sample": {"order": 8}}"#;
    let gone = r#"{"name": "CouponUsed", "version": 1, "sample": {"coupon": 5}}"#;
    let text = complaint_of_sales_without_coupons(&format!(
        r#"{{"topic": "sales", "messages": [{message}, {gone}]}}"#
    ));
    assert!(text.contains("+    \"CouponUsed\""), "{text}");
    assert!(text.contains("UPDATE_GOLDEN=1"), "{text}");
}

#[test]
fn former_wire_forms_of_a_retired_type_are_not_decoded() {
    check_sales_without_coupons(
        r#"{
  "topic": "sales",
  "messages": [
    {
      "name": "Sold",
      "version": 1,
      "sample": {
        "order": 8
      }
    }
  ],
  "retired": [
    "CouponUsed"
  ],
  "former": [
    {
      "name": "CouponUsed",
      "version": 1,
      "sample": {
        "coupon": 5
      }
    }
  ]
}
"#,
    );
}

#[test]
fn a_topic_that_was_renamed_orphans_messages() {
    let text = complaint_about(
        r#"{"topic": "sells",
            "messages": [{"name": "Sold", "version": 1, "sample": {"total_cents": 5}}]}"#,
    );
    assert!(
        text.contains("\"sells\"") && text.contains("\"sales\""),
        "{text}"
    );
}
