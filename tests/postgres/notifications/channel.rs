use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Integer, Text};
use persisting_message_bus::Backoff;
use persisting_message_bus::sql::postgres::Notifications;
use persisting_message_bus_tests::waiting::wait_until;
use uuid::Uuid;

use super::connect;

/// A channel of one test, with an observer.
pub struct Channel {
    name: String,
    observer: PgConnection,
}

impl Channel {
    pub fn create() -> Self {
        Self {
            name: format!("A \"channel\" {}", Uuid::now_v7()),
            observer: connect().unwrap(),
        }
    }

    /// Returns notifications that reconnect quickly.
    pub fn notifications(&self) -> Notifications {
        let backoff = Backoff::default().initial_delay(Duration::from_millis(2));
        Notifications::on_channel(&self.name)
            .unwrap()
            .backoff(backoff)
    }

    fn statement(&self, command: &str) -> String {
        format!("{command} \"{}\"", self.name.replace('"', "\"\""))
    }

    /// Runs LISTEN or NOTIFY on the observer's connection.
    pub fn run(&mut self, command: &str) {
        let statement = self.statement(command);
        self.observer.batch_execute(&statement).unwrap();
    }

    /// Returns the server process whose last statement was this command on the channel, and which
    /// is idle.
    pub fn process(&mut self, command: &str) -> Option<i32> {
        let query = self.statement(command);
        let processes = "SELECT pid FROM pg_stat_activity
            WHERE state = 'idle' AND pid <> pg_backend_pid() AND query = ";
        sql::<Integer>(processes)
            .bind::<Text, _>(query)
            .get_result(&mut self.observer)
            .optional()
            .unwrap()
    }

    pub fn wait_for(&mut self, command: &str) -> i32 {
        let mut process = None;
        wait_until(command, || {
            process = self.process(command);
            process.is_some()
        });
        process.unwrap()
    }

    pub fn terminate(&mut self, process: i32) {
        diesel::sql_query("SELECT pg_terminate_backend($1)")
            .bind::<Integer, _>(process)
            .execute(&mut self.observer)
            .unwrap();
        let gone = format!("SELECT pid FROM pg_stat_activity WHERE pid = {process}");
        wait_until("the session ends", || {
            let found = sql::<Integer>(&gone).get_result::<i32>(&mut self.observer);
            found.optional().unwrap().is_none()
        });
    }

    /// Counts the notifications that arrive before one that is marked as the last.
    pub fn count(&mut self) -> u32 {
        let last = format!("{}, 'the last'", self.statement("NOTIFY"));
        self.observer.batch_execute(&last).unwrap();
        let mut count = 0;
        loop {
            if self.next() == "the last" {
                return count;
            }
            count += 1;
        }
    }

    pub fn next(&mut self) -> String {
        let mut next = None;
        wait_until("a notification arrives", || {
            next = self.observer.notifications_iter().next();
            next.is_some()
        });
        next.unwrap().unwrap().payload
    }
}
