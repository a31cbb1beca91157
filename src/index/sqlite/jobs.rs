//! The queue of jobs in the embedded store.

use rusqlite::{OptionalExtension, params};

use super::super::{Claimed, IndexError, Jobs, MAX_JOBS};
use super::{SqliteIndex, signed, unsigned};

impl Jobs for SqliteIndex {
    fn push_job(&self, source: &str, now_us: i64) -> Result<bool, IndexError> {
        self.write(|transaction| {
            let sql = "INSERT INTO jobs SELECT ?1, ?2, 0 WHERE (SELECT count(*) FROM jobs) < ?3
                           OR EXISTS (SELECT 1 FROM jobs WHERE source = ?1)
                       ON CONFLICT DO UPDATE SET due = ?2, tries = 0";
            Ok(transaction.execute(sql, params![source, now_us, signed(MAX_JOBS)])? > 0)
        })
    }

    fn claim_job(&self, now_us: i64, until_us: i64) -> Result<Option<Claimed>, IndexError> {
        // Nearly always there is none: that is found out without locking writers out.
        let due = "SELECT source FROM jobs WHERE due <= ?1 ORDER BY due LIMIT 1";
        let is_one_due = self.read(|connection| connection.prepare_cached(due)?.exists([now_us]))?;
        if !is_one_due {
            return Ok(None);
        }
        self.write(|transaction| {
            let sql =
                format!("UPDATE jobs SET due = ?2, tries = tries + 1 WHERE source = ({due}) RETURNING source, tries");
            let claimed = |row: &rusqlite::Row| Ok(Claimed { source: row.get(0)?, n_tries: row.get(1)? });
            transaction.prepare_cached(&sql)?.query_row(params![now_us, until_us], claimed).optional()
        })
    }

    fn renew_job(&self, source: &str, until_us: i64) -> Result<(), IndexError> {
        self.write(|transaction| {
            transaction.execute("UPDATE jobs SET due = ?2 WHERE source = ?1", params![source, until_us]).map(drop)
        })
    }

    fn end_job(&self, source: &str) -> Result<(), IndexError> {
        self.write(|transaction| transaction.execute("DELETE FROM jobs WHERE source = ?1", [source]).map(drop))
    }

    fn n_jobs(&self) -> Result<u64, IndexError> {
        self.read(|connection| Ok(unsigned(connection.query_row("SELECT count(*) FROM jobs", [], |row| row.get(0))?)))
    }
}
