//! The feed's index, which has the last position.

use persisting_message_bus::Position;
use serde::Deserialize;
use ureq::http::StatusCode;

use super::failure::Failure;
use super::server::Server;

#[derive(Deserialize)]
struct Index {
    last: i64,
}

/// Returns the last position that the feed's database has ever assigned.
///
/// The index can be at the feed's address with a slash, without one, or both: a proxy with a path
/// redirects to the slash, and a server can know the address without it only.
pub(super) fn last_position(server: &Server) -> Result<Position, Failure> {
    let ask = |path| {
        server.ask(path, |answer| {
            let unknown = |_| Failure::NoFeed("does not contain the last position".to_owned());
            serde_json::from_slice(&answer.text).map_err(unknown)
        })
    };
    let index: Index = ask("/").or_else(|failure| {
        if is_elsewhere(&failure) {
            ask("").map_err(|_also_not_there| failure)
        } else {
            Err(failure)
        }
    })?;
    Ok(Position::new(index.last))
}

fn is_elsewhere(failure: &Failure) -> bool {
    match failure {
        // At one of both addresses, an application can have a page of its own.
        Failure::Redirected(_) | Failure::NoFeed(_) => true,
        Failure::Refused { status, .. } => *status == StatusCode::NOT_FOUND,
        _ => false,
    }
}
