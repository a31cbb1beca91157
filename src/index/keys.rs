//! API keys, as the index knows them. In redis they lie where the Go server had them.

use std::fmt;

use super::IndexError;

/// What a key may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// Reading images.
    Get,
    /// Uploading them.
    Upload,
}

impl Permission {
    /// All there are.
    pub const ALL: [Self; 2] = [Self::Get, Self::Upload];

    /// Its name, on the command line and in the index.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Upload => "upload",
        }
    }
}

/// The permissions of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Permissions {
    /// [`Permission::Get`].
    pub get: bool,
    /// [`Permission::Upload`].
    pub upload: bool,
}

impl Permissions {
    /// Whether a permission is among them.
    #[must_use]
    pub const fn has(self, permission: Permission) -> bool {
        match permission {
            Permission::Get => self.get,
            Permission::Upload => self.upload,
        }
    }
}

impl fmt::Display for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = Permission::ALL.into_iter().filter(|one| self.has(*one)).map(Permission::name).collect();
        f.write_str(if names.is_empty() { "none" } else { "" })?;
        f.write_str(&names.join(", "))
    }
}

/// What is known of a key. Its secret is shown by nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyRecord {
    /// What signatures are made with; empty if the index has none.
    pub secret: String,
    /// What it may be used for.
    pub permissions: Permissions,
}

impl fmt::Debug for KeyRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRecord").field("permissions", &self.permissions).finish_non_exhaustive()
    }
}

/// API keys. Names of keys are letters and digits.
pub trait Keys: Send + Sync {
    /// What is known of a key; `None` if there is no such key.
    /// # Errors
    /// If the index fails.
    fn key(&self, name: &str) -> Result<Option<KeyRecord>, IndexError>;

    /// All keys and their permissions, ordered by name.
    /// # Errors
    /// If the index fails.
    fn keys(&self) -> Result<Vec<(String, Permissions)>, IndexError>;

    /// Makes a key with all permissions; false if there is one of that name, which is left as it is.
    /// # Errors
    /// If the index fails; then nothing has changed.
    fn add_key(&self, name: &str, secret: &str) -> Result<bool, IndexError>;

    /// Removes a key, its secret and its permissions; false if there is no such key.
    /// # Errors
    /// If the index fails; then nothing has changed.
    fn remove_key(&self, name: &str) -> Result<bool, IndexError>;

    /// Gives a key another secret; false if there is no such key.
    /// # Errors
    /// If the index fails; then nothing has changed.
    fn set_secret(&self, name: &str, secret: &str) -> Result<bool, IndexError>;

    /// Gives a permission to a key, or takes it; false if there is no such key.
    /// # Errors
    /// If the index fails; then nothing has changed.
    fn set_permission(&self, name: &str, permission: Permission, is_given: bool) -> Result<bool, IndexError>;
}
