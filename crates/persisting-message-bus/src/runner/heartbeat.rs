//! Prolongs the leases of slow handlers, on a connection of its own.

use std::error::Error as StdError;
use std::sync::Weak;
use std::thread;
use std::time::Duration;

use tracing::warn;

use crate::MessageConsumerState;
use crate::consumer::HeldLeases;

/// A consumer whose leases have to be prolonged. It is gone when the consumer is.
#[derive(Debug, Clone)]
pub(super) struct Patient {
    pub(super) held: Weak<HeldLeases>,
    pub(super) lease_duration: Duration,
}

/// Prolongs what is held, three times in the time of a lease, until the consumers are gone.
pub(super) fn beat<B: MessageConsumerState>(
    mut patients: Vec<Patient>,
    connect: &dyn Fn() -> Result<B, Box<dyn StdError + Send + Sync>>,
) {
    let mut connection = None;
    while let Some(shortest) = patients.iter().map(|patient| patient.lease_duration).min() {
        // Somebody unparks it at the end.
        thread::park_timeout(shortest / 3);
        patients.retain(|patient| patient.held.strong_count() > 0);
        for patient in &patients {
            prolong(patient, &mut connection, connect);
        }
    }
}

/// What fails is tried again at the next beat. A lease that is lost is noticed by its holder, when it
/// stores its cursor.
fn prolong<B: MessageConsumerState>(
    patient: &Patient,
    connection: &mut Option<B>,
    connect: &dyn Fn() -> Result<B, Box<dyn StdError + Send + Sync>>,
) {
    let held = patient.held.upgrade().map(|held| held.now());
    for lease in held.unwrap_or_default() {
        if connection.is_none() {
            *connection = connect().ok();
        }
        let Some(bus) = connection else {
            return;
        };
        match bus.renew(&lease, patient.lease_duration) {
            Ok(()) => {}
            Err(error) if error.is_lease_lost() => {}
            Err(error) => {
                warn!(error = %format_args!("{error:#}"), "a lease was not prolonged");
                *connection = None;
            }
        }
    }
}
