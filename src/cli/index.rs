//! Opens the index that a configuration and the environment select.

use std::path::PathBuf;
use std::sync::Arc;

use super::describe;
use crate::config::{Config, IndexChoice};
use crate::index::{Index, SqliteIndex};

/// Where the embedded store is.
pub(super) fn embedded_path(config: &Config) -> PathBuf {
    config.data_path.join("index.sqlite")
}

/// Opens the index, and makes it if it is not there.
pub(super) fn open(config: &Config) -> Result<Arc<dyn Index>, String> {
    match &config.index.0 {
        IndexChoice::Embedded => {
            Ok(Arc::new(SqliteIndex::open(&embedded_path(config)).map_err(|error| describe(&error))?))
        }
        IndexChoice::Redis => Err("redis is not supported yet".to_owned()),
    }
}
