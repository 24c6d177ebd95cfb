use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Integer, Text};
use persisting_message_bus::Retry;
use persisting_message_bus::diesel::postgres::Notifications;
use uuid::Uuid;

use super::{connect, wait_until};

/// A channel of a test's own, with somebody who sees what happens on it.
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

    /// That is quick to connect again.
    pub fn notifications(&self) -> Notifications {
        let retry = Retry::default().base(Duration::from_millis(2));
        Notifications::on_channel(&self.name).unwrap().retry(retry)
    }

    fn statement(&self, command: &str) -> String {
        format!("{command} \"{}\"", self.name.replace('"', "\"\""))
    }

    /// Says it itself.
    pub fn run(&mut self, command: &str) {
        let statement = self.statement(command);
        self.observer.batch_execute(&statement).unwrap();
    }

    /// The process of the server for whoever said that last on the channel, and waits.
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
        wait_until("it is gone", || {
            let found = sql::<Integer>(&gone).get_result::<i32>(&mut self.observer);
            found.optional().unwrap().is_none()
        });
    }

    /// How many notifications come until one that says it is the last.
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
        wait_until("a notification", || {
            next = self.observer.notifications_iter().next();
            next.is_some()
        });
        next.unwrap().unwrap().payload
    }
}
