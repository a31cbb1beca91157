//! Amazon S3, and what speaks its protocol. rusoto makes the requests and signs them; they are sent, and their answers
//! read, here: rusoto's own reading panics on a number that is none, and never ends where XML ends too early.

mod dispatch;
mod errors;
mod list;
mod options;
mod state;
mod xml;

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::FutureExt;
use futures_util::stream;
use http::{Response, StatusCode};
use rusoto_core::credential::StaticProvider;
use rusoto_core::{ByteStream, Client, Region, RusotoError};
use rusoto_s3::{
    DeleteObjectRequest, GetObjectRequest, HeadObjectRequest, ListObjectsV2Request, PutObjectRequest, S3 as _, S3Client,
};
use ureq::{Agent, Body};

use super::agent::{agent, io_failure};
use super::{Answer, Backend, Content, ObjectError, ObjectState, Objects, Page, Remote};
use dispatch::Dispatcher;
use errors::{Action, Asked};

pub use options::S3Options;

/// A thousand of the longest names, each byte of them written as three, and what is told of each.
const MAX_LIST_BYTES: u64 = 8 << 20;
/// S3 lists no more at once.
const MAX_LISTED: usize = 1000;
/// What comes after an answer without content; if it is more, the connection is not used again.
const MAX_REST_BYTES: u64 = 64 << 10;

/// Objects of a bucket of Amazon S3; `timeout` is how long reading may take until the head of an answer is there.
/// # Errors
/// If an option cannot be right. Nothing is asked of the server.
pub fn s3(options: &S3Options, timeout: Duration) -> Result<Arc<dyn Objects>, ObjectError> {
    let region = options.checked()?;
    Ok(Arc::new(Remote::new(S3 { agent: agent(), options: options.clone(), region }, timeout)))
}

/// A bucket.
#[derive(Debug)]
struct S3 {
    agent: Agent,
    options: S3Options,
    region: Region,
}

impl S3 {
    /// Has one request made, signed and sent. Whatever the answer is, it is the result.
    fn send<T, E>(
        &self,
        left: Duration,
        content: Option<&Content>,
        request: impl AsyncFnOnce(&S3Client) -> Result<T, RusotoError<E>>,
    ) -> Result<Response<Body>, ObjectError> {
        let dispatcher = Dispatcher::new(self.agent.clone(), left, content.cloned());
        let S3Options { access_key_id, secret_access_key, .. } = &self.options;
        let key = StaticProvider::new_minimal(access_key_id.clone(), secret_access_key.clone());
        let client = S3Client::new_with_client(Client::new_with(key, dispatcher.clone()), self.region.clone());
        // The key is known and the transport blocks, so this is over when it was polled once.
        let result = request(&client).now_or_never();
        let unsent = || {
            let is_error = matches!(result, Some(Err(_)));
            Err(ObjectError::Failed(format!("the request was not made (error: {is_error})")))
        };
        dispatcher.take_answer().unwrap_or_else(unsent)
    }

    fn error(&self, action: Action, answer: Response<Body>) -> ObjectError {
        let asked = Asked { action, bucket: &self.options.bucket, region: &self.options.region };
        errors::read(&asked, answer)
    }

    /// Any answer that is no success is an error.
    fn succeeded(&self, action: Action, answer: Response<Body>) -> Result<Response<Body>, ObjectError> {
        if answer.status().is_success() { Ok(answer) } else { Err(self.error(action, answer)) }
    }
}

impl Backend for S3 {
    fn get(&self, name: &str, unless: Option<&str>, left: Duration) -> Result<Answer, ObjectError> {
        let request = GetObjectRequest {
            bucket: self.options.bucket.clone(),
            key: name.to_owned(),
            if_none_match: unless.map(|tag| format!("\"{tag}\"")),
            ..Default::default()
        };
        let answer = self.send(left, None, async |client| client.get_object(request).await)?;
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::NOT_MODIFIED if unless.is_some() => return Ok(Answer::Unchanged),
            _ => return Err(self.error(Action::Get, answer)),
        }
        let (state, md5) = state::read(answer.headers())?;
        Ok(Answer::Object { state, md5, body: Box::new(answer.into_body().into_reader()) })
    }

    fn head(&self, name: &str, left: Duration) -> Result<ObjectState, ObjectError> {
        let request =
            HeadObjectRequest { bucket: self.options.bucket.clone(), key: name.to_owned(), ..Default::default() };
        let answer = self.send(left, None, async |client| client.head_object(request).await)?;
        let answer = self.succeeded(Action::Head, answer)?;
        Ok(state::read(answer.headers())?.0)
    }

    fn put(
        &self,
        name: &str,
        content: &Content,
        md5: &[u8; 16],
        content_type: &str,
        left: Duration,
    ) -> Result<(), ObjectError> {
        let size = usize::try_from(content.n_bytes()).map_err(io::Error::other).map_err(ObjectError::Content)?;
        let request = PutObjectRequest {
            bucket: self.options.bucket.clone(),
            key: name.to_owned(),
            // Of the body, rusoto needs the size alone: the content is not part of the signature, but its MD5 is.
            body: Some(ByteStream::new_with_size(stream::empty(), size)),
            content_md5: Some(STANDARD.encode(md5)),
            content_type: Some(content_type.to_owned()),
            ..Default::default()
        };
        let answer = self.send(left, Some(content), async |client| client.put_object(request).await)?;
        drain(self.succeeded(Action::Put, answer)?);
        Ok(())
    }

    fn delete(&self, name: &str, left: Duration) -> Result<(), ObjectError> {
        let request =
            DeleteObjectRequest { bucket: self.options.bucket.clone(), key: name.to_owned(), ..Default::default() };
        let answer = self.send(left, None, async |client| client.delete_object(request).await)?;
        drain(self.succeeded(Action::Delete, answer)?);
        Ok(())
    }

    fn list(&self, prefix: &str, after: Option<&str>, limit: usize, left: Duration) -> Result<Page, ObjectError> {
        let (continuation_token, start_after) = list::place(after);
        let request = ListObjectsV2Request {
            bucket: self.options.bucket.clone(),
            continuation_token,
            start_after,
            encoding_type: Some("url".to_owned()),
            max_keys: i64::try_from(limit.clamp(1, MAX_LISTED)).ok(),
            prefix: (!prefix.is_empty()).then(|| prefix.to_owned()),
            ..Default::default()
        };
        let answer = self.send(left, None, async |client| client.list_objects_v2(request).await)?;
        let answer = self.succeeded(Action::List, answer)?;
        let mut text = Vec::new();
        let mut body = answer.into_body().into_reader().take(MAX_LIST_BYTES);
        body.read_to_end(&mut text).map_err(|error| io_failure(&error))?;
        list::read(&text).map_err(|what| ObjectError::Failed(format!("Amazon S3 lists what cannot be read: {what}")))
    }
}

/// Reads what should be nothing, so that the connection can be used again.
fn drain(answer: Response<Body>) {
    // The answer is there already; what is wrong with its rest matters to nobody.
    let _ = io::copy(&mut answer.into_body().into_reader().take(MAX_REST_BYTES), &mut io::sink());
}
