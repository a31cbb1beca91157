//! API keys: what one looks like, how one is made, and which are known. A change of a key takes effect within a second,
//! since nothing that was read is believed for longer; only while the index cannot be asked, what was read shortly before
//! goes on. For that, keys in use are read again every second.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use quick_cache::sync::Cache;
use ring::rand::{SecureRandom, SystemRandom};

use super::AccessError;
use crate::index::{Index, IndexError, KeyRecord};

/// How long what was read of a key is believed.
const FRESH: Duration = Duration::from_secs(1);
/// While the index fails, a key is believed that was read at most so long before its last answer.
const BELIEVED: Duration = Duration::from_secs(3);
/// Keys that are read again every second, those used last.
const MAX_CONFIRMED: usize = 256;
/// Keys that are remembered, ones that do not exist among them.
const MAX_KNOWN: usize = 10_000;
/// Longer texts are no keys of ours: those have 32.
const MAX_KEY_BYTES: usize = 64;

/// The name of an API key: 1 to 64 letters and digits. Shown by its first four alone.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ApiKey(String);

impl ApiKey {
    /// Reads a key; `None` if it cannot be one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_key = (1..=MAX_KEY_BYTES).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        is_key.then(|| Self(text.to_owned()))
    }

    /// All of it, for the index and for who has made it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}…", self.0.get(..4).unwrap_or("?"))
    }
}

/// A new key that nobody can guess: 32 hexadecimal digits.
/// # Errors
/// If the system has no random numbers.
pub fn new_key() -> Result<ApiKey, String> {
    random_digits().map(ApiKey)
}

/// 128 random bits as 32 hexadecimal digits: a new secret, or a part of a name that nobody can guess.
/// # Errors
/// If the system has no random numbers.
pub fn random_digits() -> Result<String, String> {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).map_err(|_| "the system gives no random numbers".to_owned())?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}

/// What is known of keys.
pub(super) struct Keyring {
    index: Arc<dyn Index>,
    known: Cache<ApiKey, Known>,
    start: Instant,
    /// When the index was asked last that has answered, in milliseconds since `start`.
    answered_ms: AtomicU64,
}

/// What was read of a key, and when.
#[derive(Clone)]
struct Known {
    since: Instant,
    /// When it was used last, in milliseconds since the start of the keyring.
    used_ms: Arc<AtomicU64>,
    record: Option<Arc<KeyRecord>>,
}

impl Keyring {
    pub(super) fn new(index: Arc<dyn Index>) -> Self {
        Self { index, known: Cache::new(MAX_KNOWN), start: Instant::now(), answered_ms: AtomicU64::new(0) }
    }

    /// Reads those keys again that are in use, where the index may be away soon: what is believed then is what it said
    /// last.
    pub(super) fn confirm(&self) {
        if !self.index.can_be_away() {
            return;
        }
        let known = self.known.iter().filter(|(_, known)| known.record.is_some());
        let mut used: Vec<(u64, ApiKey)> =
            known.map(|(key, known)| (known.used_ms.load(Ordering::Relaxed), key)).collect();
        used.sort_unstable_by_key(|(used_ms, _)| std::cmp::Reverse(*used_ms));
        for (_, key) in used.into_iter().take(MAX_CONFIRMED) {
            if self.read(&key).is_err() {
                return;
            }
        }
    }

    /// Whether the index answers.
    pub(super) fn check(&self) -> Result<(), IndexError> {
        let since = Instant::now();
        // No key of ours: those are longer.
        self.index.key("0")?;
        self.answered_ms.fetch_max(self.millis(since), Ordering::AcqRel);
        Ok(())
    }

    /// What was read of a key a moment ago; `None` if that is too long ago.
    pub(super) fn find_at_once(&self, key: &ApiKey) -> Option<Option<Arc<KeyRecord>>> {
        let known = self.known.get(key)?;
        known.used_ms.store(self.millis(Instant::now()), Ordering::Relaxed);
        (known.since.elapsed() < FRESH).then_some(known.record)
    }

    /// What is known of a key.
    pub(super) fn find(&self, key: &ApiKey) -> Result<Option<Arc<KeyRecord>>, AccessError> {
        if let Some(record) = self.find_at_once(key) {
            return Ok(record);
        }
        self.read(key).or_else(|error| {
            let last_answer = self.start + Duration::from_millis(self.answered_ms.load(Ordering::Acquire));
            match self.known.get(key) {
                // Older ones may have been changed since.
                Some(known) if known.since + BELIEVED >= last_answer => Ok(known.record),
                _ => Err(AccessError::Unknown(Arc::new(error))),
            }
        })
    }

    fn read(&self, key: &ApiKey) -> Result<Option<Arc<KeyRecord>>, IndexError> {
        let since = Instant::now();
        let record = self.index.key(key.reveal())?.map(Arc::new);
        self.answered_ms.fetch_max(self.millis(since), Ordering::AcqRel);
        let used_ms = match self.known.get(key) {
            Some(known) => known.used_ms,
            None => Arc::new(AtomicU64::new(self.millis(since))),
        };
        self.known.insert(key.clone(), Known { since, used_ms, record: record.clone() });
        Ok(record)
    }

    fn millis(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.start).as_millis()).unwrap_or(u64::MAX)
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keyring({} known)", self.known.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_letters_and_digits_and_hide_themselves() {
        for (text, expected) in
            [("a", true), ("Ab9", true), ("", false), ("a-b", false), ("ä", false), ("a b", false), ("a:b", false)]
        {
            assert_eq!(ApiKey::parse(text).is_some(), expected, "{text:?}");
        }
        assert!(ApiKey::parse(&"a".repeat(64)).is_some() && ApiKey::parse(&"a".repeat(65)).is_none());
        let shown = format!("{:?} {:?}", ApiKey::parse("abcdefgh").unwrap(), ApiKey::parse("ab").unwrap());
        assert_eq!(shown, "abcd… ?…");
    }

    #[test]
    fn new_keys_are_all_different() {
        let keys: std::collections::HashSet<String> =
            (0..1000).map(|_| new_key().unwrap().reveal().to_owned()).collect();
        assert_eq!(keys.len(), 1000);
        assert!(keys.iter().all(|key| key.len() == 32 && key.bytes().all(|byte| byte.is_ascii_hexdigit())));
    }
}
