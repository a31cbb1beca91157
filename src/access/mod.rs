//! Room 2: may they? API keys and what they permit (`keys`), signatures of uploads (`signature`), how many requests an
//! address may make (`throttle`), and what counts as one address (`address`). Knows nothing of HTTP.

mod address;
mod keys;
mod signature;
mod throttle;

use std::sync::Arc;

pub use crate::index::Permission;
use crate::index::{Index, IndexError, KeyRecord};
use keys::Keyring;

pub use address::{AddressRange, network_of};
pub use keys::{ApiKey, new_key, random_digits};
pub use signature::{FileDigest, Proof, SignatureError};
pub use throttle::{RequestsPerMinute, Throttle};

/// Which operations need an API key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Authorisation {
    /// Reading images.
    pub get: bool,
    /// Uploading images.
    pub upload: bool,
}

impl Authorisation {
    const fn is_needed(self, permission: Permission) -> bool {
        match permission {
            Permission::Get => self.get,
            Permission::Upload => self.upload,
        }
    }
}

/// Why somebody may not.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// No key, none that exists, or none with the permission: which of them is nobody's business.
    #[error("API key invalid or missing")]
    Denied,
    /// Nobody can tell whether the key exists.
    #[error("API keys cannot be checked now, try again")]
    Unknown(#[source] Arc<IndexError>),
}

/// Who may do what.
#[derive(Debug)]
pub struct Access {
    authorisation: Authorisation,
    keys: Arc<Keyring>,
    /// How many requests an address may make.
    pub throttle: Throttle,
}

/// The key that somebody came with, if they did. A key that is given must exist and permit what is asked for, even
/// where none is needed.
type Permitted = Result<Option<Arc<KeyRecord>>, AccessError>;

impl Access {
    /// Rules, with the keys of an index.
    #[must_use]
    pub fn new(index: &Arc<dyn Index>, authorisation: Authorisation, rate: RequestsPerMinute) -> Self {
        let keys = Arc::new(Keyring::new(Arc::clone(index)));
        Self { authorisation, keys, throttle: Throttle::new(Arc::clone(index), rate) }
    }

    /// The same keys and counts under other rules. What is known of keys is a second old at most, and stays.
    #[must_use]
    pub fn with_rules(&self, authorisation: Authorisation, rate: RequestsPerMinute) -> Self {
        Self { authorisation, keys: Arc::clone(&self.keys), throttle: self.throttle.with_rate(rate) }
    }

    /// Whether somebody may do something.
    /// # Errors
    /// If not, or if that cannot be told.
    pub fn permit(&self, key: Option<&ApiKey>, permission: Permission) -> Permitted {
        match key {
            None => self.permit_without(permission),
            Some(key) => judge(self.keys.find(key)?, permission),
        }
    }

    /// As `permit`, where that needs no look at the index. Never waits.
    #[must_use]
    pub fn permit_at_once(&self, key: Option<&ApiKey>, permission: Permission) -> Option<Permitted> {
        Some(match key {
            None => self.permit_without(permission),
            Some(key) => judge(self.keys.find_at_once(key)?, permission),
        })
    }

    /// Whether keys can be looked for; those in use are. To be called every second.
    /// # Errors
    /// If the index fails.
    pub fn check(&self) -> Result<(), IndexError> {
        self.keys.check()?;
        self.keys.confirm();
        Ok(())
    }

    /// Whether everybody may do something.
    #[must_use]
    pub fn is_public(&self, permission: Permission) -> bool {
        !self.authorisation.is_needed(permission)
    }

    fn permit_without(&self, permission: Permission) -> Permitted {
        if self.authorisation.is_needed(permission) { Err(AccessError::Denied) } else { Ok(None) }
    }
}

fn judge(record: Option<Arc<KeyRecord>>, permission: Permission) -> Permitted {
    match record {
        Some(record) if record.permissions.has(permission) => Ok(Some(record)),
        _ => Err(AccessError::Denied),
    }
}
