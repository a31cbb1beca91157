//! Google Cloud Storage by its JSON API. Each call is one request, and one more where a token is not taken any longer.
//!
//! The tag of an object is its generation: a number that each write makes anew, which downloads, metadata and
//! conditions (`ifGenerationNotMatch`) all know. Its entity tag would not do: that changes with metadata, too.

mod answer;
mod grant;
mod key;
mod object;
mod options;
mod token;
mod upload;

use std::sync::Arc;
use std::time::{Duration, Instant};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ureq::http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE};
use ureq::http::{Response, StatusCode};
use ureq::{Agent, Body, RequestBuilder, SendBody};

use super::agent::{CONNECT_TIMEOUT, IDLE_TIMEOUT, agent, failure};
use super::{Answer, Backend, Content, ObjectError, ObjectState, Objects, Page, Remote};
use answer::{Call, read, refusal};
use grant::Account;
use object::{Described, FIELDS, LIST_FIELDS, List, Metadata, of_headers, parse};
use token::Tokens;
use upload::Upload;

pub use options::GcsOptions;

const MAX_METADATA_BYTES: u64 = 64 << 10;
/// 1,000 names of 1,024 bytes, each of which may be written as `\u00XX`, and what is between.
const MAX_LIST_BYTES: u64 = 8 << 20;
const MAX_LISTED: usize = 1000;
/// A name is one segment of a path: RFC 3986 §2.3.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The objects of a bucket of Google Cloud Storage; `timeout` is how long reading may take until an answer is there.
/// # Errors
/// If the options cannot be right. Nothing is asked over the network.
pub fn gcs(options: &GcsOptions, timeout: Duration) -> Result<Arc<dyn Objects>, ObjectError> {
    let backend = Gcs::new(options).map_err(ObjectError::Refused)?;
    Ok(Arc::new(Remote::new(backend, timeout)))
}

#[derive(Debug)]
struct Gcs {
    agent: Agent,
    account: Account,
    tokens: Tokens,
    bucket: String,
    /// URL of all objects.
    objects: String,
    /// URL that takes new ones.
    uploads: String,
}

impl Gcs {
    fn new(options: &GcsOptions) -> Result<Self, String> {
        let endpoint = options.valid_endpoint()?;
        let bucket = options.valid_bucket()?.to_owned();
        let (issuer, token_url) = (options.valid_issuer()?.to_owned(), options.valid_token_url()?);
        Ok(Self {
            agent: agent(),
            account: Account { issuer, key: key::parse(&options.key)?, token_url },
            tokens: Tokens::default(),
            objects: format!("{endpoint}/storage/v1/b/{bucket}/o"),
            uploads: format!("{endpoint}/upload/storage/v1/b/{bucket}/o?uploadType=multipart&fields=generation"),
            bucket,
        })
    }

    /// Makes a request with the token, and once more with a new one if that is not taken.
    fn send(
        &self,
        left: Duration,
        request: impl Fn(&str, Duration) -> Result<Response<Body>, ObjectError>,
    ) -> Result<Response<Body>, ObjectError> {
        let deadline = Instant::now() + left;
        let left = || deadline.saturating_duration_since(Instant::now());
        let ask = |left| self.account.ask(&self.agent, left);
        let token = self.tokens.get(left(), ask)?;
        let response = request(&bearer(&token), left())?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        self.tokens.forget(&token);
        let token = self.tokens.get(left(), ask)?;
        request(&bearer(&token), left())
    }

    fn send_get(&self, url: &str, left: Duration) -> Result<Response<Body>, ObjectError> {
        self.send(left, |bearer, left| {
            timed(self.agent.get(url), left).header(AUTHORIZATION, bearer).call().map_err(|error| failure(&error))
        })
    }

    /// The URL of an object. No object has a name that means a folder in a path.
    fn url(&self, name: &str) -> Result<String, ObjectError> {
        if matches!(name, "" | "." | "..") {
            return Err(ObjectError::Missing);
        }
        Ok(format!("{}/{}", self.objects, utf8_percent_encode(name, ESCAPED)))
    }

    fn describe_object(&self, name: &str, left: Duration) -> Result<Described, ObjectError> {
        let response = self.send_get(&format!("{}?fields={FIELDS}", self.url(name)?), left)?;
        match response.status() {
            StatusCode::OK => parse::<Metadata>(&read(response, MAX_METADATA_BYTES)?)?.describe(),
            _ => Err(self.refusal(Call::Get, response)),
        }
    }

    fn refusal(&self, call: Call, response: Response<Body>) -> ObjectError {
        refusal(call, response, &self.bucket, &self.account.issuer)
    }
}

impl Backend for Gcs {
    fn get(&self, name: &str, unless: Option<&str>, left: Duration) -> Result<Answer, ObjectError> {
        let deadline = Instant::now() + left;
        // The tag of another storage is no condition here.
        let unless = unless.and_then(|tag| tag.parse::<u64>().ok());
        let condition = unless.map_or(String::new(), |generation| format!("&ifGenerationNotMatch={generation}"));
        let response = self.send_get(&format!("{}?alt=media{condition}", self.url(name)?), left)?;
        match response.status() {
            StatusCode::OK => {
                let (state, md5) = match of_headers(response.headers())? {
                    Some(described) => described,
                    None => self.describe_object(name, deadline.saturating_duration_since(Instant::now()))?,
                };
                let body = response.into_body().into_reader();
                Ok(Answer::Object { state, md5, body: Box::new(body) })
            }
            StatusCode::NOT_MODIFIED if unless.is_some() => Ok(Answer::Unchanged),
            _ => Err(self.refusal(Call::Get, response)),
        }
    }

    fn head(&self, name: &str, left: Duration) -> Result<ObjectState, ObjectError> {
        self.describe_object(name, left).map(|(state, _)| state)
    }

    fn put(
        &self,
        name: &str,
        content: &Content,
        md5: &[u8; 16],
        content_type: &str,
        left: Duration,
    ) -> Result<(), ObjectError> {
        let response = self.send(left, |bearer, left| {
            let upload = Upload::new(name, content, md5, content_type)?;
            timed(self.agent.post(&self.uploads), left)
                .header(AUTHORIZATION, bearer)
                .header(CONTENT_TYPE, upload.content_type)
                .header(CONTENT_LENGTH, upload.n_bytes)
                .send(SendBody::from_owned_reader(upload.reader))
                .map_err(|error| failure(&error))
        })?;
        match response.status() {
            StatusCode::OK => read(response, MAX_METADATA_BYTES).map(drop),
            _ => Err(self.refusal(Call::Put, response)),
        }
    }

    fn delete(&self, name: &str, left: Duration) -> Result<(), ObjectError> {
        let url = self.url(name)?;
        let response = self.send(left, |bearer, left| {
            timed(self.agent.delete(&url), left).header(AUTHORIZATION, bearer).call().map_err(|error| failure(&error))
        })?;
        match response.status() {
            StatusCode::OK | StatusCode::NO_CONTENT => Ok(()),
            _ => Err(self.refusal(Call::Delete, response)),
        }
    }

    fn list(&self, prefix: &str, after: Option<&str>, limit: usize, left: Duration) -> Result<Page, ObjectError> {
        let escaped = |text| utf8_percent_encode(text, ESCAPED);
        let token = after.map_or(String::new(), |token| format!("&pageToken={}", escaped(token)));
        let (prefix, limit) = (escaped(prefix), limit.clamp(1, MAX_LISTED));
        let url = format!("{}?prefix={prefix}&maxResults={limit}{token}&fields={LIST_FIELDS}", self.objects);
        let response = self.send_get(&url, left)?;
        match response.status() {
            StatusCode::OK => parse::<List>(&read(response, MAX_LIST_BYTES)?)?.into_page(),
            _ => Err(self.refusal(Call::List, response)),
        }
    }
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// Limits a request to the time that is left.
fn timed<T>(request: RequestBuilder<T>, left: Duration) -> RequestBuilder<T> {
    let connect = left.min(CONNECT_TIMEOUT);
    let limits = request.config().timeout_resolve(Some(connect)).timeout_connect(Some(connect));
    limits.timeout_recv_response(Some(left)).timeout_per_read(Some(left.max(IDLE_TIMEOUT))).build()
}
