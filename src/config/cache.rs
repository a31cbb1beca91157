//! Settings of the cache.

use super::network::UrlFolder;
use crate::store::cache::Strategy;

/// Settings of the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cache {
    /// Whether answers are kept at all.
    pub is_enabled: bool,
    /// Bytes on disk; 0 is no limit.
    pub limit_bytes: u64,
    /// What goes first.
    pub strategy: Strategy,
    /// Bytes of hot answers in memory.
    pub memory_bytes: u64,
    /// Bytes of sources from object storage that are kept on the local disk; 0 for none.
    pub source_limit_bytes: u64,
    /// Bytes of answers that wait in memory to be written.
    pub unwritten_bytes: u64,
    /// Seconds until a source in object storage is looked at again.
    pub revalidate_s: u32,
    /// Whether an answer is on the disk itself before it counts as kept.
    pub fsync: bool,
    /// Where in URLs a proxy in front serves the folder of the cache, if one does.
    pub x_accel_redirect: Option<UrlFolder>,
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            is_enabled: true,
            limit_bytes: 0,
            strategy: Strategy::default(),
            memory_bytes: 64 << 20,
            source_limit_bytes: 1 << 30,
            unwritten_bytes: 64 << 20,
            revalidate_s: 60,
            fsync: false,
            x_accel_redirect: None,
        }
    }
}
