//! Publishing: from a typed message to raw messages, and into a repository. This module knows no
//! database and no consumer.

pub(crate) mod clock;
pub(crate) mod coalesce;
pub(crate) mod correlation;
pub(crate) mod decorator;
pub(crate) mod dispatcher;
