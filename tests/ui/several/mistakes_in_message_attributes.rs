// 44 errors: one for each topic.
use persisting_message_bus::Topic;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct OrderPlaced {}

#[derive(Topic)]
#[topic(name = "only_a_text")]
enum OnlyAText {
    #[message("X")]
    OrderPlaced(OrderPlaced),
}

#[derive(Topic)]
#[topic(name = "alias_in_a_call")]
enum AliasInACall {
    #[message(alias("A", "B"))]
    OrderPlaced(OrderPlaced),
}

#[derive(Topic)]
#[topic(name = "alias_without_value")]
enum AliasWithoutValue {
    #[message(alias)]
    OrderPlaced(OrderPlaced),
}

#[derive(Topic)]
#[topic(name = "alias_after_a_colon")]
enum AliasAfterAColon {
    #[message(alias: "A")]
    OrderPlaced(OrderPlaced),
}

#[derive(Topic)]
#[topic(name = "alias_of_a_constant")]
enum AliasOfAConstant {
    #[message(alias = NAME)]
    OrderPlaced(OrderPlaced),
}

#[derive(Topic)]
#[topic(name = "name_in_a_call")]
enum NameInACall {
    #[message(name("A"))]
    OrderPlaced(OrderPlaced),
}

#[derive(Topic)]
#[topic(name = "name_missing")]
enum NameMissing {
    #[message(name =)]
    OrderPlaced(OrderPlaced),
}

#[derive(Topic)]
#[topic(name = "name_of_a_macro")]
enum NameOfAMacro {
    #[message(name = stringify!(X))]
    OrderPlaced(OrderPlaced),
}

#[derive(Topic)]
#[topic(name = "name_twice")]
enum NameTwice {
    #[message(name = "A", name = "B")]
    OrderPlaced(OrderPlaced),
}

#[derive(Topic)]
#[topic(name = "version_in_quotes")]
enum VersionInQuotes {
    #[message(version = "2")]
    OrderPlaced(OrderPlaced),
}

#[derive(Topic)]
#[topic(name = "version_below_zero")]
enum VersionBelowZero {
    #[message(version = -1)]
    OrderPlaced(OrderPlaced),
}

#[derive(Topic)]
#[topic(name = "version_with_a_fraction")]
enum VersionWithAFraction {
    #[message(version = 1.5)]
    OrderPlaced(OrderPlaced),
}

#[derive(Topic)]
#[topic(name = "version_of_a_constant")]
enum VersionOfAConstant {
    #[message(version = V)]
    OrderPlaced(OrderPlaced),
}

#[derive(Topic)]
#[topic(name = "version_in_a_call")]
enum VersionInACall {
    #[message(version(2))]
    OrderPlaced(OrderPlaced),
}

#[derive(Topic)]
#[topic(name = "version_without_value")]
enum VersionWithoutValue {
    #[message(version)]
    OrderPlaced(OrderPlaced),
}

#[derive(Topic)]
#[topic(name = "version_missing")]
enum VersionMissing {
    #[message(version =)]
    OrderPlaced(OrderPlaced),
}

#[derive(Topic)]
#[topic(name = "version_twice")]
enum VersionTwice {
    #[message(version = 1, version = 1)]
    OrderPlaced(OrderPlaced),
}

#[derive(Topic)]
#[topic(name = "previous_without_value")]
enum PreviousWithoutValue {
    #[message(version = 2, previous)]
    OrderPlaced(OrderPlaced),
}

#[derive(Topic)]
#[topic(name = "previous_json_without_number")]
enum PreviousJsonWithoutNumber {
    #[message(version = 2, previous(json(up)))]
    OrderPlaced(OrderPlaced),
}

#[derive(Topic)]
#[topic(name = "previous_list")]
enum PreviousList {
    #[message(version = 2, previous([V1]))]
    OrderPlaced(OrderPlaced),
}

#[derive(Topic)]
#[topic(name = "previous_number_only")]
enum PreviousNumberOnly {
    #[message(version = 2, previous(1))]
    OrderPlaced(OrderPlaced),
}

#[derive(Topic)]
#[topic(name = "previous_after_a_colon")]
enum PreviousAfterAColon {
    #[message(version = 2, previous(1: V1))]
    OrderPlaced(OrderPlaced),
}

#[derive(Topic)]
#[topic(name = "previous_with_a_letter")]
enum PreviousWithALetter {
    #[message(version = 2, previous(v1 = V1))]
    OrderPlaced(OrderPlaced),
}

#[derive(Topic)]
#[topic(name = "previous_number_in_quotes")]
enum PreviousNumberInQuotes {
    #[message(version = 2, previous("1" = V1))]
    OrderPlaced(OrderPlaced),
}

#[derive(Topic)]
#[topic(name = "previous_number_below_zero")]
enum PreviousNumberBelowZero {
    #[message(version = 2, previous(-1 = V1))]
    OrderPlaced(OrderPlaced),
}

#[derive(Topic)]
#[topic(name = "previous_number_missing")]
enum PreviousNumberMissing {
    #[message(version = 2, previous(= V1))]
    OrderPlaced(OrderPlaced),
}

#[derive(Topic)]
#[topic(name = "previous_form_missing")]
enum PreviousFormMissing {
    #[message(version = 3, previous(1 = , 2 = V2))]
    OrderPlaced(OrderPlaced),
}

#[derive(Topic)]
#[topic(name = "previous_comma_missing")]
enum PreviousCommaMissing {
    #[message(version = 3, previous(1 = V1 2 = V2))]
    OrderPlaced(OrderPlaced),
}

#[derive(Topic)]
#[topic(name = "previous_semicolon")]
enum PreviousSemicolon {
    #[message(version = 3, previous(1 = V1; 2 = V2))]
    OrderPlaced(OrderPlaced),
}

#[derive(Topic)]
#[topic(name = "previous_brackets")]
enum PreviousBrackets {
    #[message(version = 2, previous[1 = V1])]
    OrderPlaced(OrderPlaced),
}

#[derive(Topic)]
#[topic(name = "previous_braces")]
enum PreviousBraces {
    #[message(version = 2, previous { 1 = V1 })]
    OrderPlaced(OrderPlaced),
}

#[derive(Topic)]
#[topic(name = "previous_closure")]
enum PreviousClosure {
    #[message(version = 2, previous(1 = |v| v))]
    OrderPlaced(OrderPlaced),
}

#[derive(Topic)]
#[topic(name = "previous_of_a_number")]
enum PreviousOfANumber {
    #[message(version = 2, previous(1 = 2))]
    OrderPlaced(OrderPlaced),
}

#[derive(Topic)]
#[topic(name = "json_without_function")]
enum JsonWithoutFunction {
    #[message(version = 2, previous(1 = json()))]
    OrderPlaced(OrderPlaced),
}

#[derive(Topic)]
#[topic(name = "json_of_two")]
enum JsonOfTwo {
    #[message(version = 2, previous(1 = json(a, b)))]
    OrderPlaced(OrderPlaced),
}

#[derive(Topic)]
#[topic(name = "json_of_a_call")]
enum JsonOfACall {
    #[message(version = 2, previous(1 = json(up())))]
    OrderPlaced(OrderPlaced),
}

#[derive(Topic)]
#[topic(name = "json_in_braces")]
enum JsonInBraces {
    #[message(version = 2, previous(1 = json { up }))]
    OrderPlaced(OrderPlaced),
}

#[derive(Topic)]
#[topic(name = "json_of_a_sum")]
enum JsonOfASum {
    #[message(version = 2, previous(1 = json(up) + 1))]
    OrderPlaced(OrderPlaced),
}

#[derive(Topic)]
#[topic(name = "json_twice_equal")]
enum JsonTwiceEqual {
    #[message(version = 2, previous(1 = json = up))]
    OrderPlaced(OrderPlaced),
}

#[derive(Topic)]
#[topic(name = "json_of_a_reference")]
enum JsonOfAReference {
    #[message(version = 2, previous(1 = json(&up)))]
    OrderPlaced(OrderPlaced),
}

#[derive(Topic)]
#[topic(name = "json_macro")]
enum JsonMacro {
    #[message(version = 2, previous(1 = json!(up)))]
    OrderPlaced(OrderPlaced),
}

#[derive(Topic)]
#[topic(name = "unknown_in_a_call")]
enum UnknownInACall {
    #[message(unknown(true))]
    OrderPlaced(OrderPlaced),
}

#[derive(Topic)]
#[topic(name = "unknown_after_a_colon")]
enum UnknownAfterAColon {
    #[message(unknown: true)]
    OrderPlaced(OrderPlaced),
}

#[derive(Topic)]
#[topic(name = "unknown_twice")]
enum UnknownTwice {
    #[message(unknown, unknown)]
    OrderPlaced(OrderPlaced),
}

fn main() {}
