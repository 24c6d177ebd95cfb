//! The field `retry` of server-sent events, which tells a client when to connect again.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;

use super::problem::Problem;
use super::stream::answer;

/// The maximum delay.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Returns the field with a random delay from half of `delay` to one and a half of it, so that the
/// clients that a restart disconnects do not all connect again at once.
pub(super) fn field(delay: Duration) -> String {
    let millis = u64::try_from(delay.min(DAY).as_millis()).unwrap_or(u64::MAX);
    let millis = fastrand::u64(millis / 2..=millis + millis / 2);
    format!("retry: {millis}\n\n")
}

/// Answers a client that wants events and cannot have any at the moment.
///
/// A browser gives a subscription up for good at any status other than 200. So the client gets a
/// stream that ends, with the reason in a comment, and connects again.
pub(super) fn later(problem: &Problem, delay: Duration) -> Response {
    let delay = delay.max(problem.retry_after());
    let reason = problem.detail().replace(char::is_control, " ");
    answer(Body::from(format!(": {reason}\n{}", field(delay))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_are_spread_around_the_given_one() {
        let delays: Vec<u64> = (0..1_000)
            .filter_map(|_| {
                let field = field(Duration::from_secs(3));
                field
                    .strip_prefix("retry: ")?
                    .strip_suffix("\n\n")?
                    .parse()
                    .ok()
            })
            .collect();
        assert_eq!(delays.len(), 1_000);
        assert!(delays.iter().all(|delay| (1_500..=4_500).contains(delay)));
        assert!(delays.iter().any(|delay| *delay < 2_000));
        assert!(delays.iter().any(|delay| *delay > 4_000));
    }

    #[test]
    fn no_delay_is_too_long_or_too_short() {
        assert_eq!(field(Duration::ZERO), "retry: 0\n\n");
        assert!(field(Duration::MAX).len() <= "retry: 129600000\n\n".len());
    }
}
