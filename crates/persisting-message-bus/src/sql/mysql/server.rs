//! The kind of the server, and the SQL that it understands.

/// The kind of a server that has SKIP LOCKED.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Server {
    Mariadb,
    Mysql,
}

impl Server {
    /// Returns the server for a version, as the server's function `version()` reports it, or the
    /// reason why the server is not supported.
    pub(super) fn of(version: &str) -> Result<Self, String> {
        let (server, version, needed) = if version.contains("MariaDB") {
            // Before it, some servers report the version of MySQL that they stand in for.
            let version = version.strip_prefix("5.5.5-").unwrap_or(version);
            (Self::Mariadb, version, (10, 6, 0))
        } else {
            (Self::Mysql, version, (8, 0, 1))
        };
        if numbers_of(version) >= needed {
            return Ok(server);
        }
        Err(format!(
            "the server is {server:?} {version}, which has no SKIP LOCKED, so publishers and readers \
             would block each other; use MariaDB from 10.6 or MySQL from 8.0.1"
        ))
    }

    /// Returns the table of the server's status variables, which every user can read.
    pub(super) fn global_status(self) -> &'static str {
        match self {
            Self::Mariadb => "information_schema.global_status",
            Self::Mysql => "performance_schema.global_status",
        }
    }

    /// Returns the end of a SELECT that skips locked rows, and locks the other rows against
    /// writers.
    pub(super) fn lock_in_share_mode(self) -> &'static str {
        match self {
            Self::Mariadb => "LOCK IN SHARE MODE SKIP LOCKED",
            Self::Mysql => "FOR SHARE SKIP LOCKED",
        }
    }
}

/// Returns major, minor and patch level, as far as the version has them.
fn numbers_of(version: &str) -> (u32, u32, u32) {
    let numbers = version.split(|character: char| !character.is_ascii_digit());
    let mut numbers = numbers.map(|number| number.parse().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    (next(), next(), next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_with_skip_locked_are_taken() {
        for (version, server) in [
            ("10.11.19-MariaDB-0+deb12u1", Server::Mariadb),
            ("10.6.0-MariaDB", Server::Mariadb),
            ("11.4.2-MariaDB-log", Server::Mariadb),
            ("5.5.5-10.6.1-MariaDB-1:10.6.1+maria~focal", Server::Mariadb),
            ("8.0.1", Server::Mysql),
            ("8.0.36-28 Percona", Server::Mysql),
            ("9.1.0", Server::Mysql),
        ] {
            assert_eq!(Server::of(version), Ok(server), "{version}");
        }
    }

    #[test]
    fn others_are_refused_by_name() {
        for version in [
            "10.5.25-MariaDB",
            "5.5.5-10.3.39-MariaDB",
            "5.7.44-log",
            "8.0.0-dmr",
            "",
            "none",
        ] {
            let refusal = Server::of(version).err().unwrap_or_default();
            assert!(refusal.contains("SKIP LOCKED"), "{version}: {refusal}");
        }
    }
}
