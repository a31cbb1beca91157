//! The tables, and what an opened file must be.

use rusqlite::{Connection, ErrorCode, TransactionBehavior};

use super::super::IndexError;

/// "pixl": tells our files from those of others.
const APPLICATION_ID: i64 = 0x7069_786c;
/// The version of the tables below.
const VERSION: i64 = 2;

/// Totals are kept by triggers: no crash and no process can make them drift from the records.
const TABLES: &str = "
CREATE TABLE records (
    id BLOB PRIMARY KEY,
    source TEXT NOT NULL,
    version TEXT NOT NULL,
    description TEXT NOT NULL,
    extension TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    made INTEGER NOT NULL,
    last_access INTEGER NOT NULL,
    count INTEGER NOT NULL
) WITHOUT ROWID, STRICT;
CREATE INDEX records_by_source ON records (source);
CREATE INDEX records_by_time ON records (last_access);
CREATE INDEX records_by_count ON records (count, last_access);
CREATE TABLE totals (records INTEGER NOT NULL, bytes INTEGER NOT NULL) STRICT;
INSERT INTO totals VALUES (0, 0);
CREATE TRIGGER record_comes AFTER INSERT ON records BEGIN
    UPDATE totals SET records = records + 1, bytes = bytes + NEW.bytes;
END;
CREATE TRIGGER record_goes AFTER DELETE ON records BEGIN
    UPDATE totals SET records = records - 1, bytes = bytes - OLD.bytes;
END;
CREATE TRIGGER record_grows AFTER UPDATE OF bytes ON records BEGIN
    UPDATE totals SET bytes = bytes + NEW.bytes - OLD.bytes;
END;
CREATE TABLE purges (source TEXT PRIMARY KEY, generation INTEGER NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID, STRICT;
CREATE INDEX purges_by_generation ON purges (generation);
CREATE TABLE generations (latest INTEGER NOT NULL, floor INTEGER NOT NULL, floor_at INTEGER NOT NULL) STRICT;
INSERT INTO generations VALUES (0, 0, 0);
";

/// What version 2 has beside: API keys, and work to be done. `due` is when a job may be taken.
const TABLES_2: &str = "
CREATE TABLE keys (
    name TEXT PRIMARY KEY,
    secret TEXT NOT NULL,
    get INTEGER NOT NULL,
    upload INTEGER NOT NULL
) WITHOUT ROWID, STRICT;
CREATE TABLE jobs (source TEXT PRIMARY KEY, due INTEGER NOT NULL, tries INTEGER NOT NULL) WITHOUT ROWID, STRICT;
CREATE INDEX jobs_by_time ON jobs (due);
";

/// Sets a connection up: several processes read while one writes, and a writer waits for another.
pub(super) fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(super::BUSY_TIMEOUT)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // A power cut may cost the last seconds of what is but a cache; the file itself stays sound.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "journal_size_limit", 64 << 20)?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(())
}

/// Makes the tables in a new file; refuses one that is not ours.
pub(super) fn prepare(connection: &mut Connection, path: &str) -> Result<(), IndexError> {
    let damaged = || IndexError::Damaged { path: path.to_owned() };
    let explained = |error: rusqlite::Error| match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => damaged(),
        _ => IndexError::Failed(error),
    };
    configure(connection).map_err(explained)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(explained)?;
    let number = |name: &str| transaction.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (application, version) = (number("application_id")?, number("user_version")?);
    match (application, version) {
        (APPLICATION_ID, VERSION) => return Ok(()),
        (APPLICATION_ID, 1) => {
            transaction.execute_batch(TABLES_2)?;
            transaction.pragma_update(None, "user_version", VERSION)?;
            transaction.commit()?;
            return Ok(());
        }
        (APPLICATION_ID, newer) if newer > VERSION => return Err(IndexError::Newer { path: path.to_owned() }),
        (0, 0) => {}
        _ => return Err(damaged()),
    }
    let n_tables = transaction.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get::<_, i64>(0))?;
    if n_tables > 0 {
        return Err(damaged());
    }
    transaction.execute_batch(TABLES)?;
    transaction.execute_batch(TABLES_2)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()?;
    Ok(())
}
