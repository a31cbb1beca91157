//! API keys, where the Go server had them: the set `api-keys`, a hash `key:…` with the field `secret`, and a set
//! `key:…:permissions` of `get` and `upload`. Keys that it has made go on working.

use redis::Script;

use super::super::{IndexError, KeyRecord, Keys, Permission, Permissions};
use super::pool::Patience;
use super::{RedisIndex, scripts};

impl Keys for RedisIndex {
    fn key(&self, name: &str) -> Result<Option<KeyRecord>, IndexError> {
        // Others would name something else: `key:a:permissions` is no key.
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Ok(None);
        }
        let mut script = scripts::KEY.prepare_invoke();
        script.arg(name);
        let found: Option<(String, bool, bool)> =
            self.shared.pool.ask(Patience::Request, |connection| script.invoke(connection))?;
        Ok(found.map(|(secret, get, upload)| KeyRecord { secret, permissions: Permissions { get, upload } }))
    }

    fn keys(&self) -> Result<Vec<(String, Permissions)>, IndexError> {
        let found: Vec<(String, bool, bool)> =
            self.shared.pool.ask(Patience::Background, |connection| scripts::KEYS.invoke(connection))?;
        let mut keys: Vec<_> =
            found.into_iter().map(|(name, get, upload)| (name, Permissions { get, upload })).collect();
        keys.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(keys)
    }

    fn add_key(&self, name: &str, secret: &str) -> Result<bool, IndexError> {
        self.change(&scripts::ADD_KEY, &[name, secret])
    }

    fn remove_key(&self, name: &str) -> Result<bool, IndexError> {
        self.change(&scripts::REMOVE_KEY, &[name])
    }

    fn set_secret(&self, name: &str, secret: &str) -> Result<bool, IndexError> {
        self.change(&scripts::SET_SECRET, &[name, secret])
    }

    fn set_permission(&self, name: &str, permission: Permission, is_given: bool) -> Result<bool, IndexError> {
        let command = if is_given { "SADD" } else { "SREM" };
        self.change(&scripts::SET_PERMISSION, &[name, permission.name(), command])
    }
}

impl RedisIndex {
    /// Whether a script found what it was to change.
    fn change(&self, script: &Script, arguments: &[&str]) -> Result<bool, IndexError> {
        let mut script = script.prepare_invoke();
        for argument in arguments {
            script.arg(*argument);
        }
        self.shared.pool.ask(Patience::Background, |connection| script.invoke(connection))
    }
}
