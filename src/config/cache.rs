//! Settings of the cache.

use std::str::FromStr;

use super::value::quoted;

/// Which answers go first when the cache is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Strategy {
    /// The least recently used.
    #[default]
    Lru,
    /// The least frequently used.
    Lfu,
}

impl FromStr for Strategy {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text.to_ascii_uppercase().as_str() {
            "LRU" => Ok(Self::Lru),
            "LFU" => Ok(Self::Lfu),
            _ => Err(format!("must be LRU or LFU, got {}", quoted(text))),
        }
    }
}

/// The cache, which this version reads but does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cache {
    /// Whether answers are kept at all.
    pub is_enabled: bool,
    /// Bytes on disk; 0 is no limit.
    pub limit_bytes: u64,
    /// What goes first.
    pub strategy: Strategy,
    /// Bytes of hot answers in memory.
    pub memory_bytes: u64,
    /// Seconds until a source in object storage is looked at again.
    pub revalidate_s: u32,
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            is_enabled: true,
            limit_bytes: 0,
            strategy: Strategy::default(),
            memory_bytes: 64 << 20,
            revalidate_s: 60,
        }
    }
}
