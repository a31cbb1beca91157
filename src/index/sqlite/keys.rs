//! API keys in the embedded store.

use rusqlite::{OptionalExtension, Row, params};

use super::super::{IndexError, KeyRecord, Keys, Permission, Permissions};
use super::SqliteIndex;

impl Keys for SqliteIndex {
    fn key(&self, name: &str) -> Result<Option<KeyRecord>, IndexError> {
        self.read(|connection| {
            let sql = "SELECT get, upload, secret FROM keys WHERE name = ?1";
            let record = |row: &Row| Ok(KeyRecord { permissions: permissions(row)?, secret: row.get(2)? });
            connection.prepare_cached(sql)?.query_row([name], record).optional()
        })
    }

    fn keys(&self) -> Result<Vec<(String, Permissions)>, IndexError> {
        self.read(|connection| {
            let sql = "SELECT get, upload, name FROM keys ORDER BY name";
            connection.prepare(sql)?.query_map([], |row| Ok((row.get(2)?, permissions(row)?)))?.collect()
        })
    }

    fn add_key(&self, name: &str, secret: &str) -> Result<bool, IndexError> {
        self.change("INSERT INTO keys VALUES (?1, ?2, 1, 1) ON CONFLICT DO NOTHING", params![name, secret])
    }

    fn remove_key(&self, name: &str) -> Result<bool, IndexError> {
        self.change("DELETE FROM keys WHERE name = ?1", params![name])
    }

    fn set_secret(&self, name: &str, secret: &str) -> Result<bool, IndexError> {
        self.change("UPDATE keys SET secret = ?2 WHERE name = ?1", params![name, secret])
    }

    fn set_permission(&self, name: &str, permission: Permission, is_given: bool) -> Result<bool, IndexError> {
        let sql = match permission {
            Permission::Get => "UPDATE keys SET get = ?2 WHERE name = ?1",
            Permission::Upload => "UPDATE keys SET upload = ?2 WHERE name = ?1",
        };
        self.change(sql, params![name, is_given])
    }
}

impl SqliteIndex {
    /// Whether a statement changed anything.
    fn change(&self, sql: &str, params: &[&dyn rusqlite::ToSql]) -> Result<bool, IndexError> {
        self.write(|transaction| Ok(transaction.execute(sql, params)? > 0))
    }
}

/// Of a row that begins with both.
fn permissions(row: &Row) -> rusqlite::Result<Permissions> {
    Ok(Permissions { get: row.get(0)?, upload: row.get(1)? })
}
