use persisting_message_bus_tests::databases::Mariadb;
use persisting_message_bus_tests::statements::assert_prepared_once;

#[test]
fn every_statement_is_prepared_once() {
    assert_prepared_once::<Mariadb>();
}
