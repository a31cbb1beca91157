//! API keys: what one looks like, how one is made, and which are known. A change of a key takes effect within a second,
//! since nothing that was read is believed for longer.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quick_cache::sync::Cache;
use ring::rand::{SecureRandom, SystemRandom};

use super::AccessError;
use crate::index::{Index, IndexError, KeyRecord};

/// How long what was read of a key is believed.
const FRESH: Duration = Duration::from_secs(1);
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

/// A new secret: 32 hexadecimal digits.
/// # Errors
/// If the system has no random numbers.
pub fn new_secret() -> Result<String, String> {
    random_digits()
}

fn random_digits() -> Result<String, String> {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).map_err(|_| "the system gives no random numbers".to_owned())?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}

/// What is known of keys.
pub(super) struct Keyring {
    index: Arc<dyn Index>,
    known: Cache<ApiKey, Known>,
}

/// What was read of a key, and when.
#[derive(Clone)]
struct Known {
    since: Instant,
    record: Option<Arc<KeyRecord>>,
}

impl Keyring {
    pub(super) fn new(index: Arc<dyn Index>) -> Self {
        Self { index, known: Cache::new(MAX_KNOWN) }
    }

    /// Whether the index answers.
    pub(super) fn check(&self) -> Result<(), IndexError> {
        // No key of ours: those are longer.
        self.index.key("0").map(drop)
    }

    /// What was read of a key a moment ago; `None` if that is too long ago.
    pub(super) fn find_at_once(&self, key: &ApiKey) -> Option<Option<Arc<KeyRecord>>> {
        let known = self.known.get(key)?;
        (known.since.elapsed() < FRESH).then_some(known.record)
    }

    /// What is known of a key. While the index fails, what it said last stays true: no key can be changed there either.
    pub(super) fn find(&self, key: &ApiKey) -> Result<Option<Arc<KeyRecord>>, AccessError> {
        if let Some(record) = self.find_at_once(key) {
            return Ok(record);
        }
        let since = Instant::now();
        match self.index.key(key.reveal()) {
            Ok(record) => {
                let record = record.map(Arc::new);
                self.known.insert(key.clone(), Known { since, record: record.clone() });
                Ok(record)
            }
            Err(error) => match self.known.get(key) {
                Some(known) => Ok(known.record),
                None => Err(AccessError::Unknown(Arc::new(error))),
            },
        }
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
