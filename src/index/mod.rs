//! What must be known beside the images themselves: cached answers, whose they are, how large, when and how often asked
//! for, and what was purged (`Records`); API keys (`Keys`); work that is still to be done (`Jobs`). The embedded store
//! (`sqlite`) needs nothing installed, and any number of processes of one machine may share it; with `redis`, servers
//! of several machines do.
//!
//! # Purges
//!
//! A generation grows with every purge. Work notes the generation when it begins, and its record is refused if its
//! source was purged since: a purge wins against work that is under way. What a process has in memory counts only while
//! the generation is the one for which it was last found right; after that, [`Records::is_purged_since`] is asked.

use std::collections::HashMap;
use std::fmt;

#[cfg(test)]
mod conformance;
mod jobs;
mod keys;
mod rates;
mod redis;
mod shared;
mod sqlite;

pub use jobs::{Claimed, Jobs, MAX_JOBS};
pub use keys::{KeyRecord, Keys, Permission, Permissions};
pub use rates::{Rate, Rates};
pub use redis::{RedisIndex, RedisUrl};
pub use shared::{Shared, process_name};
pub use sqlite::SqliteIndex;

#[cfg(test)]
pub(crate) use redis::tests::{Redis, server::Storage};

/// A place for all that must be known. Calls may wait, for a disk or for a network, but for the one that says so.
pub trait Index: Records + Keys + Jobs {
    /// How often it has come back after it could not be reached for a while. What was not written down meanwhile is
    /// then to be brought to it again; and it may have forgotten what it knew.
    fn n_returns(&self) -> u64 {
        0
    }

    /// Whether it may be out of reach for a while, and come back. What a server needs meanwhile, it has to know itself.
    fn can_be_away(&self) -> bool {
        false
    }

    /// Rates that it counts for several servers, if it does.
    fn shared_rates(&self) -> Option<&dyn Rates> {
        None
    }

    /// Where servers of several machines tell each other what they do, if they share this index.
    fn shared(&self) -> Option<&dyn Shared> {
        None
    }
}

/// Records of cached answers, and purges.
pub trait Records: fmt::Debug + Send + Sync {
    /// The generation after the last purge. Never waits; `None` where that cannot be told without.
    fn generation_at_once(&self) -> Option<u64>;

    /// The generation after the last purge; the last that was known, if the index does not answer. It never becomes
    /// smaller.
    fn generation(&self) -> u64;

    /// Whether `source` was purged, by name or with all others, after `generation`.
    /// # Errors
    /// If the index fails.
    fn is_purged_since(&self, source: &str, generation: u64) -> Result<bool, IndexError>;

    /// What was purged by name, and when; and the generation before which all counts as purged.
    /// # Errors
    /// If the index fails.
    fn purges(&self) -> Result<Purges, IndexError>;

    /// The record of an answer.
    /// # Errors
    /// If the index fails.
    fn find(&self, id: &Id) -> Result<Option<Record>, IndexError>;

    /// Number and size of all answers.
    /// # Errors
    /// If the index fails.
    fn totals(&self) -> Result<Totals, IndexError>;

    /// The latest use of any answer, in microseconds since 1970; `None` if there is none.
    /// # Errors
    /// If the index fails.
    fn latest_use(&self) -> Result<Option<i64>, IndexError>;

    /// Takes new records, each with the generation at which its work began. One whose source was purged since is left
    /// out. Records of other states of the same sources go. One that is there already gets the new file's extension,
    /// size, checksum and time.
    /// # Errors
    /// If the index fails; then nothing has changed.
    fn insert(&self, records: &[(Record, u64)]) -> Result<Inserted, IndexError>;

    /// Notes requests. Those for answers that are gone are forgotten.
    /// # Errors
    /// If the index fails; then nothing has changed, or with redis, only some have.
    fn touch(&self, accesses: &[Access]) -> Result<(), IndexError>;

    /// Removes records in the given order until they have at least `bytes` together, or are `max_n`.
    /// # Errors
    /// If the index fails; then nothing has changed.
    fn evict(&self, order: Order, bytes: u64, max_n: usize) -> Result<Vec<Gone>, IndexError>;

    /// Removes records.
    /// # Errors
    /// If the index fails; then nothing has changed.
    fn remove(&self, ids: &[Id]) -> Result<(), IndexError>;

    /// Removes all records of a source, and refuses those of work that is under way. `take` gets what went, where the
    /// index can do that before anybody can record an answer of the same name again.
    /// # Errors
    /// If the index fails; then nothing has changed.
    fn purge(&self, source: &str, now_us: i64, take: &mut dyn FnMut(&[Gone])) -> Result<Vec<Gone>, IndexError>;

    /// Removes all records, a batch at a time, each given to `take` as by `purge`; refuses those of all work that is
    /// under way.
    /// # Errors
    /// If the index fails; then the rest of the records are still there.
    fn clear(&self, now_us: i64, take: &mut dyn FnMut(&[Gone])) -> Result<(), IndexError>;

    /// Up to `limit` records whose source begins with `prefix`, ordered by source and name, after the given one.
    /// # Errors
    /// If the index fails.
    fn list(&self, prefix: &str, after: Option<&Record>, limit: usize) -> Result<Vec<Record>, IndexError>;

    /// Up to `limit` records ordered by name, from the given name on or after it.
    /// # Errors
    /// If the index fails.
    fn page(&self, from: &Id, limit: usize) -> Result<Vec<Record>, IndexError>;
}

/// Names a cached answer.
pub type Id = [u8; 32];

/// What is known of a cached answer. Times are microseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its name.
    pub id: Id,
    /// The image that it was made from.
    pub source: String,
    /// The state that the source was in.
    pub version: String,
    /// What was done, for people.
    pub description: String,
    /// Of the file: `jpg` or `png`.
    pub extension: String,
    /// Size of the file.
    pub bytes: u64,
    /// CRC-32 of the file.
    pub checksum: u32,
    /// When it was recorded.
    pub made_us: i64,
    /// When it was asked for last.
    pub last_access_us: i64,
    /// How often it was asked for.
    pub count: u64,
}

/// An answer whose record was removed; its file is to follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gone {
    /// Its name.
    pub id: Id,
    /// Of the file.
    pub extension: String,
    /// Size of the file.
    pub bytes: u64,
}

/// What became of new records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inserted {
    /// For each record whether it was taken.
    pub is_kept: Vec<bool>,
    /// Answers from other states of the same sources.
    pub gone: Vec<Gone>,
}

/// When something was purged last; all zero if it never was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Purge {
    /// How many purges there were then.
    pub generation: u64,
    /// Microseconds since 1970.
    pub at_us: i64,
}

/// What was purged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Purges {
    /// All that was made before this one counts as purged.
    pub floor: Purge,
    /// Sources and their last purge.
    pub sources: HashMap<String, Purge>,
}

impl Purges {
    /// The last purge of a source.
    #[must_use]
    pub fn last_of(&self, source: &str) -> Purge {
        self.sources.get(source).copied().unwrap_or_default().max(self.floor)
    }
}

/// How many there are, and how large they are together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Number of records.
    pub records: u64,
    /// Sum of their sizes.
    pub bytes: u64,
}

/// Requests for one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// The answer.
    pub id: Id,
    /// How many.
    pub count: u64,
    /// When the last one was.
    pub last_us: i64,
}

/// Which answers go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Those whose last use is longest ago.
    LeastRecent,
    /// Those used least often; among those, as above.
    LeastFrequent,
}

/// Why the index cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// Its folder or file cannot be made or opened.
    #[error("cannot open the index {path}")]
    Open {
        /// The file.
        path: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The file is damaged, or something else.
    #[error("{path} is damaged or no index of pixlserv; move it away to start with an empty one")]
    Damaged {
        /// The file.
        path: String,
    },
    /// A later version has changed the file.
    #[error("{path} was made by a newer version of pixlserv")]
    Newer {
        /// The file.
        path: String,
    },
    /// A call failed: disk full, read-only, locked by another process for too long.
    #[error("the index failed")]
    Failed(#[from] rusqlite::Error),
    /// Redis does not answer. It is looked for all the time, and whatever is asked meanwhile fails so, at once.
    #[error("redis cannot be reached at {address}: {reason}")]
    Unreachable {
        /// Host, port and database.
        address: String,
        /// What the last attempt came to.
        reason: String,
    },
    /// Redis answers with an error, or with what nobody can have put there.
    #[error("redis failed: {message}")]
    Redis {
        /// What it said; without passwords and secrets.
        message: String,
    },
}
