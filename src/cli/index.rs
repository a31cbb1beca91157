//! Opens the index that a configuration and the environment select.

use std::path::PathBuf;
use std::sync::Arc;

use super::describe;
use crate::config::{Config, IndexChoice};
use crate::index::{Index, RedisIndex, SqliteIndex};

/// Where the embedded store is.
pub(super) fn embedded_path(config: &Config) -> PathBuf {
    config.data_path.join("index.sqlite")
}

/// Opens the index. The embedded store is made if it is not there; redis may come later.
pub(super) fn open(config: &Config) -> Result<Arc<dyn Index>, String> {
    match &config.index.0 {
        IndexChoice::Embedded => {
            Ok(Arc::new(SqliteIndex::open(&embedded_path(config)).map_err(|error| describe(&error))?))
        }
        IndexChoice::Redis(url) => Ok(Arc::new(RedisIndex::open(url).map_err(|error| describe(&error))?)),
    }
}
