//! What is known of cached answers: whose they are, how large, when and how often asked for; and what was purged. The
//! embedded store (`sqlite`) needs nothing installed, and any number of processes may share it.
//!
//! # Purges
//!
//! A generation counts the purges. Work notes the generation when it begins, and its record is refused if its source was
//! purged since: a purge wins against work that is under way. What a process has in memory counts only while the
//! generation is the one for which it was last found right; after that, [`SqliteIndex::is_purged_since`] is asked.

use std::collections::HashMap;

mod sqlite;

pub use sqlite::SqliteIndex;

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
}
