//! Asks for a token as a service account does: RFC 7523, "JSON Web Token Profile for OAuth 2.0", signed by RS256.

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde::Deserialize;
use serde_json::json;
use ureq::Agent;
use ureq::http::header::{CONTENT_TYPE, DATE};
use ureq::http::{HeaderMap, StatusCode};

use super::super::ObjectError;
use super::super::agent::failure;
use super::answer::{failed_or_refused, read, said, shown};
use super::token::Grant;

const WHO: &str = "the token address";
const SCOPE: &str = "https://www.googleapis.com/auth/devstorage.read_write";
/// Google gives no more.
const LIFE: Duration = Duration::from_secs(3600);
const FORM: &str = "application/x-www-form-urlencoded";
const GRANT_TYPE: &str = "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer";
const MAX_ANSWER_BYTES: u64 = 64 << 10;
/// A clock is called wrong from this on; Google bears some minutes.
const MAX_SKEW_SECONDS: u64 = 120;

/// A service account, and where its tokens come from.
pub(super) struct Account {
    pub(super) issuer: String,
    pub(super) key: RsaKeyPair,
    pub(super) token_url: String,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { issuer, key: _, token_url } = self;
        f.debug_struct("Account").field("issuer", issuer).field("token_url", token_url).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Given {
    access_token: String,
    expires_in: u64,
}

#[derive(Deserialize)]
struct NotGiven {
    error: String,
    #[serde(default)]
    error_description: String,
}

impl Account {
    /// Asks for a token, for up to `left`.
    pub(super) fn ask(&self, agent: &Agent, left: Duration) -> Result<Grant, ObjectError> {
        let body = format!("grant_type={GRANT_TYPE}&assertion={}", self.assertion(SystemTime::now())?);
        let request = super::timed(agent.post(&self.token_url), left).header(CONTENT_TYPE, FORM);
        let response = request.send(&body).map_err(|error| at_token_url(failure(&error)))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = read(response, MAX_ANSWER_BYTES).map_err(at_token_url)?;
        if status != StatusCode::OK {
            return Err(self.refusal(status, &headers, &body));
        }
        let is_token = |token: &str| !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
        match serde_json::from_slice(&body) {
            Ok(Given { access_token, expires_in }) if is_token(&access_token) => {
                Ok(Grant { token: access_token, life: Duration::from_secs(expires_in) })
            }
            _ => Err(at_token_url(ObjectError::Failed("the answer has no token".to_owned()))),
        }
    }

    /// What the account says of itself, signed.
    fn assertion(&self, now: SystemTime) -> Result<String, ObjectError> {
        let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let header = json!({"alg": "RS256", "typ": "JWT"});
        let claims = json!({
            "iss": self.issuer,
            "scope": SCOPE,
            "aud": self.token_url,
            "iat": now,
            "exp": now + LIFE.as_secs(),
        });
        let encode = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(&header), encode(&claims));
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
            .map_err(|_| ObjectError::Failed("signing for a token failed".to_owned()))?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    fn refusal(&self, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> ObjectError {
        let Ok(NotGiven { error, error_description }) = serde_json::from_slice(body) else {
            return failed_or_refused(WHO, status, "");
        };
        let message = shown(&format!("{error}: {error_description}"));
        match failed_or_refused(WHO, status, &said(&message)) {
            ObjectError::Refused(_) => {
                let to_mend = self.to_mend(headers, &message);
                ObjectError::Refused(format!("{WHO} gives no token: {to_mend}: {message}"))
            }
            error => error,
        }
    }

    fn to_mend(&self, headers: &HeaderMap, message: &str) -> String {
        let ours = SystemTime::now();
        let theirs = headers.get(DATE).and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
        if message.contains("short-lived token") || message.contains(" iat ") {
            return clock(ours, theirs);
        }
        if message.contains("Signature") {
            return format!("GCS_KEY is not, or not any longer, a key of the account {:?} (GCS_ISS)", self.issuer);
        }
        if message.contains("account not found") {
            return format!("there is no account {:?} (GCS_ISS)", self.issuer);
        }
        "GCS_ISS and GCS_KEY must be of one service account".to_owned()
    }
}

/// What is wrong with the clock of this machine, by the time of the token address.
fn clock(ours: SystemTime, theirs: Option<SystemTime>) -> String {
    let off = theirs.and_then(|theirs| {
        let behind = theirs.duration_since(ours).map(|off| (off.as_secs(), "behind"));
        let off = behind.unwrap_or_else(|error| (error.duration().as_secs(), "ahead"));
        (off.0 > MAX_SKEW_SECONDS).then_some(off)
    });
    match off {
        Some((seconds, way)) => format!("the clock of this machine is {} minutes {way}", (seconds + 30) / 60),
        None => "the clock of this machine may be off".to_owned(),
    }
}

/// Says that it is not the storage that fails.
fn at_token_url(error: ObjectError) -> ObjectError {
    let prefixed = |reason: String| format!("{WHO}: {reason}");
    match error {
        ObjectError::Refused(reason) => ObjectError::Refused(prefixed(reason)),
        ObjectError::Unreachable(reason) => ObjectError::Unreachable(prefixed(reason)),
        ObjectError::TimedOut(reason) => ObjectError::TimedOut(prefixed(reason)),
        ObjectError::Failed(reason) => ObjectError::Failed(prefixed(reason)),
        ObjectError::Broken(reason) => ObjectError::Broken(prefixed(reason)),
        error @ (ObjectError::Missing | ObjectError::Content(_)) => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_clock_is_told_by_minutes_and_way() {
        let ours = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        for (theirs, expected) in [
            (None, "may be off"),
            (Some(1_000_000), "may be off"),
            (Some(1_000_120), "may be off"),
            (Some(1_000_400), "is 7 minutes behind"),
            (Some(996_400), "is 60 minutes ahead"),
            (Some(0), "is 16667 minutes ahead"),
        ] {
            let theirs = theirs.map(|seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
            assert_eq!(clock(ours, theirs), format!("the clock of this machine {expected}"));
        }
    }
}
