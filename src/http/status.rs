//! The one place where errors become HTTP.

use http::StatusCode;

use crate::service::{AccessError, DecodeError, ServiceError, StoreError, UploadError};
use crate::transform::TransformError;

/// The status of an error and what the client reads.
pub(super) fn status(error: &ServiceError) -> (StatusCode, String) {
    let internal = |status, text: &str| (status, text.to_owned());
    // No `_`: a new variant must be decided here.
    match error {
        ServiceError::Access(AccessError::Denied) => (StatusCode::UNAUTHORIZED, error.to_string()),
        ServiceError::Access(AccessError::Unknown(_)) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
        ServiceError::Upload(UploadError::FileTooLarge { .. }) => (StatusCode::PAYLOAD_TOO_LARGE, error.to_string()),
        ServiceError::Upload(
            UploadError::MissingImage | UploadError::TooManyPixels { .. } | UploadError::Signature(_),
        ) => (StatusCode::BAD_REQUEST, error.to_string()),
        ServiceError::Transform(TransformError::OriginalsForbidden) => (StatusCode::FORBIDDEN, error.to_string()),
        ServiceError::Transform(
            TransformError::Parameters(_)
            | TransformError::UnknownName(_)
            | TransformError::CustomForbidden
            | TransformError::Scale { .. }
            | TransformError::OutputTooLarge { .. },
        ) => (StatusCode::BAD_REQUEST, error.to_string()),
        ServiceError::Store(StoreError::NotFound(_)) => (StatusCode::NOT_FOUND, error.to_string()),
        ServiceError::TooLarge { .. } | ServiceError::Store(StoreError::TooLarge { .. }) => {
            (StatusCode::UNPROCESSABLE_ENTITY, error.to_string())
        }
        ServiceError::Store(StoreError::Full { .. }) => internal(StatusCode::INSUFFICIENT_STORAGE, "storage full"),
        ServiceError::Store(StoreError::Backend { .. } | StoreError::Folder(_) | StoreError::Away { .. }) => {
            internal(StatusCode::BAD_GATEWAY, "storage unavailable")
        }
        ServiceError::Store(StoreError::TooSlow { .. }) => internal(StatusCode::GATEWAY_TIMEOUT, "storage too slow"),
        ServiceError::Decode(DecodeError::Unsupported(_)) => (StatusCode::UNSUPPORTED_MEDIA_TYPE, error.to_string()),
        ServiceError::Decode(DecodeError::TooManyPixels { .. } | DecodeError::Damaged(_)) => {
            (StatusCode::UNPROCESSABLE_ENTITY, error.to_string())
        }
        ServiceError::Busy(_) | ServiceError::Store(StoreError::Changing(_)) => {
            (StatusCode::SERVICE_UNAVAILABLE, error.to_string())
        }
        ServiceError::Interrupted | ServiceError::NoRandomNumbers => {
            internal(StatusCode::INTERNAL_SERVER_ERROR, "internal error")
        }
        ServiceError::Watermark { .. } => {
            internal(StatusCode::INTERNAL_SERVER_ERROR, "a watermark of this transformation cannot be used")
        }
    }
}
