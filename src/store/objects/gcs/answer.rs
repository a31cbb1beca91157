//! What an answer without the thing asked for means, and what is to be mended.

use std::io::Read;

use serde::Deserialize;
use ureq::Body;
use ureq::http::{Response, StatusCode};

use super::super::ObjectError;
use super::super::agent::io_failure;

/// What is read of a message.
const MAX_MESSAGE_BYTES: u64 = 64 << 10;
/// What is shown of it.
const MAX_SHOWN_CHARS: usize = 300;

const STORAGE: &str = "the storage";

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Get,
    Put,
    Delete,
    List,
}

impl Call {
    fn permission(self) -> &'static str {
        match self {
            Self::Get => "storage.objects.get",
            Self::Put => "storage.objects.create (and storage.objects.delete to replace an object)",
            Self::Delete => "storage.objects.delete",
            Self::List => "storage.objects.list",
        }
    }
}

/// Why `account` did not get from `bucket` what it asked for.
pub(super) fn refusal(call: Call, response: Response<Body>, bucket: &str, account: &str) -> ObjectError {
    let status = response.status();
    let message = match read_message(response) {
        Ok(message) => message,
        Err(error) => return error,
    };
    let said = said(&message);
    match status {
        StatusCode::NOT_FOUND if matches!(call, Call::Put | Call::List) || is_of_bucket(&message) => {
            ObjectError::Refused(format!("there is no bucket {bucket:?} (PIXLSERV_GCS_BUCKET){said}"))
        }
        StatusCode::NOT_FOUND => ObjectError::Missing,
        StatusCode::UNAUTHORIZED => ObjectError::Refused(format!(
            "the storage does not take the tokens of the account {account:?} (GCS_ISS, PIXLSERV_GCS_TOKEN_URL){said}"
        )),
        StatusCode::FORBIDDEN if is_of_rate(&message) => ObjectError::Failed(answered(STORAGE, status, &said)),
        StatusCode::FORBIDDEN => ObjectError::Refused(format!(
            "the account {account:?} needs the permission {} on the bucket {bucket:?}{said}",
            call.permission()
        )),
        // What arrived is not what was sent.
        StatusCode::BAD_REQUEST if call == Call::Put && message.contains("MD5") => {
            ObjectError::Failed(answered(STORAGE, status, &said))
        }
        _ => failed_or_refused(STORAGE, status, &said),
    }
}

/// Whether it is worth another try depends on the status.
pub(super) fn failed_or_refused(who: &str, status: StatusCode, said: &str) -> ObjectError {
    let is_passing = status.is_server_error()
        || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS | StatusCode::TOO_EARLY);
    let answered = answered(who, status, said);
    if is_passing { ObjectError::Failed(answered) } else { ObjectError::Refused(answered) }
}

fn answered(who: &str, status: StatusCode, said: &str) -> String {
    format!("{who} answered {}{said}", status.as_u16())
}

/// `: message`, or nothing.
pub(super) fn said(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

/// Cloud Storage, "HTTP status and error codes for JSON": no such bucket is told by the same status as no such object.
fn is_of_bucket(message: &str) -> bool {
    message.contains("specified bucket does not exist")
}

/// Same source: exceeded rates may come as 403.
fn is_of_rate(message: &str) -> bool {
    ["rateLimitExceeded", "rate limit", "Rate Limit"].iter().any(|words| message.contains(words))
}

/// What a body says: the message of its JSON, or all of it where that is plain text, as for downloads.
fn read_message(response: Response<Body>) -> Result<String, ObjectError> {
    let mut body = Vec::new();
    let mut reader = response.into_body().into_reader().take(MAX_MESSAGE_BYTES);
    reader.read_to_end(&mut body).map_err(|error| io_failure(&error))?;
    let text = String::from_utf8_lossy(&body);
    let message = match serde_json::from_str::<Failure>(&text) {
        Ok(Failure { error: Details { message, errors } }) => {
            let reason = errors.first().map_or("", |first| first.reason.as_str());
            if is_of_rate(reason) { format!("{reason}: {message}") } else { message }
        }
        Err(_) if text.trim_start().starts_with('<') => String::new(),
        Err(_) => text.into_owned(),
    };
    Ok(shown(&message))
}

/// As much of a foreign text as may be shown, on one line.
pub(super) fn shown(text: &str) -> String {
    let line: String = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut shown: String = line.chars().take(MAX_SHOWN_CHARS).collect();
    if shown.len() < line.len() {
        shown.push('…');
    }
    shown
}

/// All of a body.
/// # Errors
/// If it does not come, or has more bytes than `limit`.
pub(super) fn read(response: Response<Body>, limit: u64) -> Result<Vec<u8>, ObjectError> {
    let mut bytes = Vec::new();
    let mut reader = response.into_body().into_reader().take(limit + 1);
    reader.read_to_end(&mut bytes).map_err(|error| io_failure(&error))?;
    if bytes.len() as u64 > limit {
        return Err(ObjectError::Failed(format!("the answer has more than {limit} bytes")));
    }
    Ok(bytes)
}

#[derive(Deserialize)]
struct Failure {
    error: Details,
}

#[derive(Deserialize)]
struct Details {
    #[serde(default)]
    message: String,
    #[serde(default)]
    errors: Vec<Reason>,
}

#[derive(Deserialize)]
struct Reason {
    #[serde(default)]
    reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(call: Call, status: u16, body: &str) -> ObjectError {
        let body = Body::builder().data(body.to_owned());
        refusal(call, Response::builder().status(status).body(body).unwrap(), "images", "me@example.com")
    }

    fn json(message: &str, reason: &str) -> String {
        format!(r#"{{"error": {{"code": 1, "message": {message:?}, "errors": [{{"reason": "{reason}"}}]}}}}"#)
    }

    #[test]
    fn what_is_missing_is_told_from_what_is_refused() {
        assert!(matches!(refused(Call::Get, 404, "No such object: images/a"), ObjectError::Missing));
        assert!(matches!(refused(Call::Delete, 404, &json("No such object", "notFound")), ObjectError::Missing));
        for (call, status, body, expected) in [
            (Call::Get, 404, json("The specified bucket does not exist.", "notFound"), "there is no bucket \"images\""),
            (Call::List, 404, String::new(), "there is no bucket \"images\""),
            (Call::Put, 404, "<html>".to_owned(), "there is no bucket \"images\""),
            (Call::Get, 403, json("no", "forbidden"), "\"me@example.com\" needs the permission storage.objects.get on"),
            (Call::Put, 403, json("no", "forbidden"), "storage.objects.create"),
            (Call::Delete, 403, json("no", "forbidden"), "storage.objects.delete on"),
            (Call::List, 403, json("no", "forbidden"), "storage.objects.list on the bucket \"images\": no"),
            (Call::Get, 401, json("Invalid Credentials", "authError"), "\"me@example.com\" (GCS_ISS"),
            (Call::Get, 400, json("line\nline", "invalid"), "the storage answered 400: line line"),
            (Call::Get, 302, "<html>".to_owned(), "the storage answered 302"),
        ] {
            let error = refused(call, status, &body);
            let text = error.to_string();
            assert!(matches!(error, ObjectError::Refused(_)) && text.contains(expected), "{call:?} {status}: {text}");
        }
    }

    #[test]
    fn what_passes_is_tried_again() {
        for (call, status, body) in [
            (Call::Get, 500, json("Backend Error", "backendError")),
            (Call::Get, 503, "x".repeat(1 << 20)),
            (Call::Get, 408, String::new()),
            (Call::Get, 429, "slow down".to_owned()),
            (Call::Put, 403, json("Too much", "rateLimitExceeded")),
            (Call::Put, 400, json("Provided MD5 hash \"a\" doesn't match calculated MD5 hash \"b\".", "invalid")),
        ] {
            let error = refused(call, status, &body);
            assert!(matches!(error, ObjectError::Failed(_)), "{call:?} {status}: {error:?}");
        }
    }

    #[test]
    fn foreign_texts_are_shown_short_and_on_one_line() {
        assert_eq!(shown("  a\r\n\u{1b}[31mb "), "a   [31mb");
        assert_eq!(shown(&"ü".repeat(301)).chars().count(), 301);
        assert!(shown(&"ü".repeat(301)).ends_with("ü…"));
        let Failure { error } = serde_json::from_str(r#"{"error": {"code": 404}}"#).unwrap();
        assert!(error.message.is_empty() && error.errors.is_empty());
    }
}
