//! The index in one SQLite file, shared by the threads of this process and by other processes.
//!
//! # The signal
//!
//! Whether anything was purged is asked with every hit, so it must cost next to nothing and never wait: the generation
//! stands in a file of eight bytes beside the database, too. The database is the truth. A purge holds a lock on the
//! small file from before its transaction until after it has written the new number there, so that the number only
//! grows and is never ahead of the database: who reads generation g finds every purge up to g in the database. A
//! process that dies between the two leaves the number behind; the next purge, or the next start, puts it right, and by
//! then nobody was told that the purge was done.

mod jobs;
mod keys;
mod schema;
#[cfg(test)]
mod tests;

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params};

use crate::metrics::metrics;

use super::{Access, Gone, Id, Index, IndexError, Inserted, Order, Purge, Purges, Record, Records, Totals};

/// How long a writer waits for another process.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);
/// Connections kept for readers.
const MAX_READERS: usize = 16;
/// Purges kept by name. Whatever is older than the oldest of them counts as purged.
const MAX_PURGES: i64 = 10_000;
/// Records removed in one transaction when all go.
const CLEAR_BATCH: i64 = 2_000;

const COLUMNS: &str = "id, source, version, description, extension, bytes, checksum, made, last_access, count";

/// The index in a file.
#[derive(Debug)]
pub struct SqliteIndex {
    path: PathBuf,
    writer: Mutex<Connection>,
    readers: Mutex<Vec<Connection>>,
    signal: File,
    /// Held by a purge of this process; the lock on the file keeps only other processes out.
    purging: Mutex<()>,
}

impl SqliteIndex {
    /// Opens the index, and makes it if it is not there, readable by this user alone: it is for secrets, too.
    /// # Errors
    /// If the file cannot be opened, is damaged, or is something else.
    pub fn open(path: &Path) -> Result<Self, IndexError> {
        let failed = |source| IndexError::Open { path: path.display().to_string(), source };
        if let Some(folder) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o755).create(folder).map_err(failed)?;
        }
        private_file(path).map_err(failed)?;
        let signal = private_file(&path.with_extension("generation")).map_err(failed)?;
        let mut writer = Connection::open(path)?;
        schema::prepare(&mut writer, &path.display().to_string())?;
        let index = Self {
            path: path.to_owned(),
            writer: Mutex::new(writer),
            readers: Mutex::default(),
            signal,
            purging: Mutex::default(),
        };
        index.repair_signal().map_err(failed)?;
        Ok(index)
    }

    /// One transaction of a purge, with its new generation; then the signal.
    fn purging<T>(&self, change: impl FnOnce(&Transaction, i64) -> rusqlite::Result<T>) -> Result<T, IndexError> {
        let failed = |source| IndexError::Open { path: self.path.display().to_string(), source };
        let _purging = lock(&self.purging);
        let signal = SignalLock::new(&self.signal).map_err(failed)?;
        let (result, generation) = self.write(|transaction| {
            let sql = "UPDATE generations SET latest = latest + 1 RETURNING latest";
            let generation = transaction.query_row(sql, [], |row| row.get::<_, i64>(0))?;
            Ok((change(transaction, generation)?, generation))
        })?;
        signal.set(unsigned(generation)).map_err(failed)?;
        Ok(result)
    }

    /// Writes the number that a process which died in a purge has not written.
    fn repair_signal(&self) -> io::Result<()> {
        let signal = SignalLock::new(&self.signal)?;
        let latest = self
            .read(|connection| connection.query_row("SELECT latest FROM generations", [], |row| row.get::<_, i64>(0)));
        let latest = latest.map_err(io::Error::other)?;
        if self.generation() < unsigned(latest) { signal.set(unsigned(latest)) } else { Ok(()) }
    }

    fn write<T>(&self, change: impl FnOnce(&Transaction) -> rusqlite::Result<T>) -> Result<T, IndexError> {
        counted(|| {
            let mut writer = lock(&self.writer);
            let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let result = change(&transaction)?;
            transaction.commit()?;
            Ok(result)
        })
    }

    /// Readers see the last whole state and wait for no writer.
    fn read<T>(&self, question: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, IndexError> {
        counted(|| self.try_read(question))
    }

    fn try_read<T>(&self, question: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
        let spare = lock(&self.readers).pop();
        let connection = match spare {
            Some(connection) => connection,
            None => {
                let connection = Connection::open(&self.path)?;
                schema::configure(&connection)?;
                connection
            }
        };
        let result = question(&connection);
        let mut readers = lock(&self.readers);
        // One that has failed may be broken; another is opened in its place.
        if result.is_ok() && readers.len() < MAX_READERS {
            readers.push(connection);
        }
        result
    }
}

impl Index for SqliteIndex {}

impl Records for SqliteIndex {
    fn generation_at_once(&self) -> Option<u64> {
        Some(self.generation())
    }

    fn generation(&self) -> u64 {
        let mut bytes = [0; 8];
        // A file that is shorter has seen no purge yet.
        if self.signal.read_exact_at(&mut bytes, 0).is_ok() { u64::from_le_bytes(bytes) } else { 0 }
    }

    fn is_purged_since(&self, source: &str, generation: u64) -> Result<bool, IndexError> {
        self.read(|connection| is_purged_since(connection, source, signed(generation)))
    }

    fn purges(&self) -> Result<Purges, IndexError> {
        self.read(|connection| {
            // One state of both tables.
            let transaction = connection.unchecked_transaction()?;
            let purge = |row: &Row| Ok(Purge { generation: unsigned(row.get(0)?), at_us: row.get(1)? });
            let floor = transaction.query_row("SELECT floor, floor_at FROM generations", [], purge)?;
            let mut statement = transaction.prepare_cached("SELECT generation, at, source FROM purges")?;
            let sources = statement.query_map([], |row| Ok((row.get(2)?, purge(row)?)))?;
            Ok(Purges { floor, sources: sources.collect::<rusqlite::Result<_>>()? })
        })
    }

    fn find(&self, id: &Id) -> Result<Option<Record>, IndexError> {
        self.read(|connection| {
            let sql = format!("SELECT {COLUMNS} FROM records WHERE id = ?1");
            connection.prepare_cached(&sql)?.query_row([id], record).optional()
        })
    }

    fn totals(&self) -> Result<Totals, IndexError> {
        self.read(|connection| {
            let totals = |row: &Row| Ok(Totals { records: unsigned(row.get(0)?), bytes: unsigned(row.get(1)?) });
            connection.prepare_cached("SELECT records, bytes FROM totals")?.query_row([], totals)
        })
    }

    fn latest_use(&self) -> Result<Option<i64>, IndexError> {
        self.read(|connection| connection.query_row("SELECT max(last_access) FROM records", [], |row| row.get(0)))
    }

    fn insert(&self, records: &[(Record, u64)]) -> Result<Inserted, IndexError> {
        self.write(|transaction| {
            let mut inserted = Inserted::default();
            for (record, generation) in records {
                let is_purged = is_purged_since(transaction, &record.source, signed(*generation))?;
                inserted.is_kept.push(!is_purged);
                if !is_purged {
                    remove_other_versions(transaction, record, &mut inserted.gone)?;
                    insert(transaction, record)?;
                }
            }
            Ok(inserted)
        })
    }

    fn touch(&self, accesses: &[Access]) -> Result<(), IndexError> {
        self.write(|transaction| {
            let sql = "UPDATE records SET count = count + ?2, last_access = max(last_access, ?3) WHERE id = ?1";
            let mut statement = transaction.prepare_cached(sql)?;
            for access in accesses {
                statement.execute(params![access.id, signed(access.count), access.last_us])?;
            }
            Ok(())
        })
    }

    fn evict(&self, order: Order, bytes: u64, max_n: usize) -> Result<Vec<Gone>, IndexError> {
        let sql = match order {
            Order::LeastRecent => "SELECT id, extension, bytes FROM records ORDER BY last_access LIMIT ?1",
            Order::LeastFrequent => "SELECT id, extension, bytes FROM records ORDER BY count, last_access LIMIT ?1",
        };
        self.write(|transaction| {
            let mut victims = Vec::new();
            let mut freed = 0;
            let mut statement = transaction.prepare_cached(sql)?;
            let mut rows = statement.query([i64::try_from(max_n).unwrap_or(i64::MAX)])?;
            while freed < bytes
                && let Some(row) = rows.next()?
            {
                let victim = gone(row)?;
                freed += victim.bytes;
                victims.push(victim);
            }
            drop(rows);
            remove(transaction, victims.iter().map(|victim| &victim.id))?;
            Ok(victims)
        })
    }

    fn remove(&self, ids: &[Id]) -> Result<(), IndexError> {
        self.write(|transaction| remove(transaction, ids.iter()))
    }

    fn purge(&self, source: &str, now_us: i64, take: &mut dyn FnMut(&[Gone])) -> Result<Vec<Gone>, IndexError> {
        self.purging(|transaction, generation| {
            transaction.execute(
                "INSERT INTO purges VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET generation = ?2, at = ?3",
                params![source, generation, now_us],
            )?;
            forget_old_purges(transaction)?;
            let sql = "DELETE FROM records WHERE source = ?1 RETURNING id, extension, bytes";
            let mut statement = transaction.prepare(sql)?;
            let gone = statement.query_map([source], gone)?.collect::<rusqlite::Result<Vec<Gone>>>()?;
            take(&gone);
            Ok(gone)
        })
    }

    fn clear(&self, now_us: i64, take: &mut dyn FnMut(&[Gone])) -> Result<(), IndexError> {
        self.purging(|transaction, generation| {
            transaction.execute("DELETE FROM purges", [])?;
            transaction.execute("UPDATE generations SET floor = ?1, floor_at = ?2", [generation, now_us])?;
            Ok(())
        })?;
        loop {
            let is_empty = self.write(|transaction| {
                let sql = "DELETE FROM records WHERE id IN (SELECT id FROM records WHERE made <= ?1 LIMIT ?2)
                           RETURNING id, extension, bytes";
                let mut statement = transaction.prepare_cached(sql)?;
                let batch =
                    statement.query_map([now_us, CLEAR_BATCH], gone)?.collect::<rusqlite::Result<Vec<Gone>>>()?;
                take(&batch);
                Ok(batch.is_empty())
            })?;
            if is_empty {
                return Ok(());
            }
        }
    }

    fn list(&self, prefix: &str, after: Option<&Record>, limit: usize) -> Result<Vec<Record>, IndexError> {
        let (source, id) = after.map_or((prefix, &[][..]), |record| (record.source.as_str(), &record.id[..]));
        let sql = format!("SELECT {COLUMNS} FROM records WHERE (source, id) > (?1, ?2) ORDER BY source, id LIMIT ?3");
        let found: Vec<Record> = self.read(|connection| {
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            connection.prepare_cached(&sql)?.query_map(params![source, id, limit], record)?.collect()
        })?;
        Ok(found.into_iter().take_while(|record| record.source.starts_with(prefix)).collect())
    }

    fn page(&self, from: &Id, limit: usize) -> Result<Vec<Record>, IndexError> {
        let sql = format!("SELECT {COLUMNS} FROM records WHERE id >= ?1 ORDER BY id LIMIT ?2");
        self.read(|connection| {
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            connection.prepare_cached(&sql)?.query_map(params![from, limit], record)?.collect()
        })
    }
}

/// The right to write the signal, shared with no other thread or process.
struct SignalLock<'a>(&'a File);

impl<'a> SignalLock<'a> {
    fn new(signal: &'a File) -> io::Result<Self> {
        signal.lock()?;
        Ok(Self(signal))
    }

    fn set(&self, generation: u64) -> io::Result<()> {
        self.0.write_all_at(&generation.to_le_bytes(), 0)
    }
}

impl Drop for SignalLock<'_> {
    fn drop(&mut self) {
        // Fails for no file that could be locked; closing it would unlock it too.
        let _ = self.0.unlock();
    }
}

/// Counts a call that fails.
fn counted<T>(call: impl FnOnce() -> rusqlite::Result<T>) -> Result<T, IndexError> {
    call().map_err(|error| {
        metrics().index_errors.with_label_values(&["failed"]).inc();
        error.into()
    })
}

/// A connection that a panic left behind has no open transaction: that is rolled back where it ends.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

fn is_purged_since(connection: &Connection, source: &str, generation: i64) -> rusqlite::Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM generations WHERE floor > ?2)
                   OR EXISTS (SELECT 1 FROM purges WHERE source = ?1 AND generation > ?2)";
    connection.prepare_cached(sql)?.query_row(params![source, generation], |row| row.get(0))
}

/// Removes the records of other states of a record's source. All that there are of a source are of one state, since
/// this comes before each of them: so one tells of all, and a source may have many.
fn remove_other_versions(transaction: &Transaction, record: &Record, gone: &mut Vec<Gone>) -> rusqlite::Result<()> {
    let sql = "SELECT version <> ?2 FROM records WHERE source = ?1 LIMIT 1";
    let params = params![record.source, record.version];
    let has_changed: Option<bool> = transaction.prepare_cached(sql)?.query_row(params, |row| row.get(0)).optional()?;
    if has_changed == Some(true) {
        let sql = "DELETE FROM records WHERE source = ?1 AND version <> ?2 RETURNING id, extension, bytes";
        let mut statement = transaction.prepare_cached(sql)?;
        for row in statement.query_map(params, self::gone)? {
            gone.push(row?);
        }
    }
    Ok(())
}

/// Keeps the newest purges by name; what is older than those counts as purged.
fn forget_old_purges(transaction: &Transaction) -> rusqlite::Result<()> {
    let sql = "SELECT generation, at FROM purges ORDER BY generation DESC LIMIT 1 OFFSET ?1";
    let numbers = |row: &Row| Ok([row.get::<_, i64>(0)?, row.get(1)?]);
    if let Some([oldest, at]) = transaction.query_row(sql, [MAX_PURGES], numbers).optional()? {
        transaction.execute("DELETE FROM purges WHERE generation <= ?1", [oldest])?;
        let sql = "UPDATE generations SET floor = max(floor, ?1), floor_at = max(floor_at, ?2)";
        transaction.execute(sql, [oldest, at])?;
    }
    Ok(())
}

fn insert(transaction: &Transaction, record: &Record) -> rusqlite::Result<()> {
    let sql = format!(
        "INSERT INTO records ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
         ON CONFLICT DO UPDATE SET extension = ?5, bytes = ?6, checksum = ?7, made = ?8"
    );
    transaction.prepare_cached(&sql)?.execute(params![
        record.id,
        record.source,
        record.version,
        record.description,
        record.extension,
        signed(record.bytes),
        record.checksum,
        record.made_us,
        record.last_access_us,
        signed(record.count)
    ])?;
    Ok(())
}

fn remove<'a>(transaction: &Transaction, ids: impl Iterator<Item = &'a Id>) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached("DELETE FROM records WHERE id = ?1")?;
    for id in ids {
        statement.execute([id])?;
    }
    Ok(())
}

fn record(row: &Row) -> rusqlite::Result<Record> {
    Ok(Record {
        id: row.get(0)?,
        source: row.get(1)?,
        version: row.get(2)?,
        description: row.get(3)?,
        extension: row.get(4)?,
        bytes: unsigned(row.get(5)?),
        checksum: row.get(6)?,
        made_us: row.get(7)?,
        last_access_us: row.get(8)?,
        count: unsigned(row.get(9)?),
    })
}

fn gone(row: &Row) -> rusqlite::Result<Gone> {
    Ok(Gone { id: row.get(0)?, extension: row.get(1)?, bytes: unsigned(row.get(2)?) })
}

/// SQLite counts with a sign; nothing here comes near the end of it.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
