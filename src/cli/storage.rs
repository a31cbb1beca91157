//! Opens the storage that a configuration and the environment select.

use std::sync::Arc;
use std::time::Duration;

use super::describe;
use crate::config::{Config, StorageChoice};
use crate::index::Index;
use crate::store::cache::Place;
use crate::store::objects::{self, ObjectError, Objects};
use crate::store::{BucketOptions, BucketStorage, LocalStorage, Storage};

/// The part of `storage-timeout` that one call may take: what is done besides fits into the rest.
const CALL_PERCENT: u32 = 90;

/// The bucket, if images are in one. Nothing is asked of it yet.
pub(super) fn bucket(config: &Config) -> Result<Option<Arc<dyn Objects>>, String> {
    let timeout = Duration::from_secs(u64::from(config.storage_timeout_s)) * CALL_PERCENT / 100;
    let bucket = match &config.storage.0 {
        StorageChoice::Local => return Ok(None),
        StorageChoice::S3(options) => objects::s3(options, timeout),
        StorageChoice::Gcs(options) => objects::gcs(options, timeout),
    };
    bucket.map(Some).map_err(|error| describe(&error))
}

/// Looks whether a bucket can be used. One that cannot be reached now may be later, and does not stop the start; nor does
/// one that allows reading alone, if no answers are to be kept there.
pub(super) fn verify(config: &Config, bucket: &dyn Objects) -> Result<(), String> {
    let is_writable = match objects::verify_reading(bucket).map(|()| objects::verify_writing(bucket)) {
        Ok(Err(error @ ObjectError::Refused(_))) if !config.cache.is_enabled => {
            tracing::warn!("uploads are answered 502: {}", describe(&error));
            return Ok(());
        }
        Ok(is_writable) => is_writable,
        Err(error) => Err(error),
    };
    match is_writable {
        Ok(()) => Ok(()),
        Err(error @ (ObjectError::Refused(_) | ObjectError::Missing)) => {
            Err(format!("cannot use the {}: {}", config.storage.1, describe(&error)))
        }
        Err(error) => {
            tracing::warn!("cannot reach the storage now: {}", describe(&error));
            Ok(())
        }
    }
}

/// Where images are.
pub(super) fn open(
    config: &Config,
    bucket: Option<&Arc<dyn Objects>>,
    index: &Arc<dyn Index>,
) -> Result<Arc<dyn Storage>, String> {
    match bucket {
        None => local(config),
        Some(objects) => in_bucket(config, objects, index),
    }
}

/// The folder of images.
pub(super) fn local(config: &Config) -> Result<Arc<dyn Storage>, String> {
    Ok(Arc::new(LocalStorage::open(&config.local_path).map_err(|error| error.to_string())?))
}

/// The images of a bucket.
pub(super) fn in_bucket(
    config: &Config,
    objects: &Arc<dyn Objects>,
    index: &Arc<dyn Index>,
) -> Result<Arc<dyn Storage>, String> {
    let options = BucketOptions {
        revalidate: Duration::from_secs(u64::from(config.cache.revalidate_s)),
        kept_bytes: config.cache.source_limit_bytes,
        work_folder: config.data_path.join("work"),
    };
    let folder = options.work_folder.display().to_string();
    let storage = BucketStorage::open(Arc::clone(objects), Arc::clone(index), options);
    Ok(Arc::new(storage.map_err(|error| format!("cannot use the folder {folder}: {}", describe(&error)))?))
}

/// Where answers are kept.
pub(super) fn place(config: &Config, bucket: Option<&Arc<dyn Objects>>) -> Place {
    match bucket {
        None => Place::Folder { data_path: config.data_path.clone(), fsync: config.cache.fsync },
        Some(objects) => Place::Bucket(Arc::clone(objects)),
    }
}
