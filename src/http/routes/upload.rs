//! Uploads: a form with an image becomes a stored one. Every answer is JSON of three fields, as the Go server's.

use std::ops::ControlFlow;
use std::sync::Arc;

use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use serde::Serialize;

use super::{Site, refuse};
use crate::access::{ApiKey, Proof};
use crate::http::multipart::{FieldNames, FileSink, Form, FormError, FormReader};
use crate::http::receiver::Receiver;
use crate::http::reply::Reply;
use crate::http::request::Request;
use crate::http::response::Response;
use crate::metrics::CacheResult;
use crate::service::{ServiceError, Upload, UploadError};

const JSON: &str = "application/json";

/// Every answer to an upload.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    status: &'static str,
    error_message: &'a str,
    image_path: &'a str,
}

impl Answer<'_> {
    fn response(&self, status: StatusCode) -> Response {
        let text = serde_json::to_string(self).expect("three texts can be written");
        let mut response = Response::bytes(JSON, text);
        response.status = status;
        response
    }
}

/// The fields of the form; see [`Form::texts`] for their order.
const FIELDS: FieldNames = FieldNames { file: "image", texts: &["timestamp", "signature", "sha256"] };

/// Looks whether they may, and asks for the body.
pub(super) fn begin(site: &Site, key: Option<&ApiKey>, request: &Arc<Request>, reply: Reply) {
    let media_type = request.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let begun = Upload::begin(&site.service, key).map_err(FormError::File);
    match begun.and_then(|upload| FormReader::new(media_type, FIELDS, upload)) {
        Ok(form) => reply.receive(Box::new(Incoming { form, request: Arc::clone(request) })),
        Err(error) => reply.send(refuse_form(request, &error)),
    }
}

/// An upload whose body is coming.
struct Incoming {
    form: FormReader<Upload>,
    request: Arc<Request>,
}

impl Receiver for Incoming {
    fn take(&mut self, piece: Vec<u8>) -> ControlFlow<Response> {
        match self.form.take(piece) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(refuse_form(&self.request, &error)),
        }
    }

    fn end(self: Box<Self>, reply: Reply) {
        let request = self.request;
        let form = match self.form.end() {
            Ok(form) => form,
            Err(error) => return reply.send(refuse_form(&request, &error)),
        };
        let upload = match checked(form) {
            Ok(upload) => upload,
            Err(error) => return reply.send(refuse(&request, &error)),
        };
        let claim = reply.claim();
        upload.finish(Box::new(move || claim.take()), move |uploaded, times| {
            let response = match uploaded {
                Ok(path) => {
                    let answer = Answer { status: "ok", error_message: "", image_path: path.as_str() };
                    answer.response(StatusCode::OK)
                }
                Err(error) => refuse(&request, &error),
            };
            times.observe();
            reply.send(response.noting(CacheResult::None, times));
        });
    }
}

impl FileSink for Upload {
    type Error = ServiceError;

    fn write(&mut self, bytes: &[u8]) -> Result<(), ServiceError> {
        Self::write(self, bytes)
    }
}

/// The upload of a form that is signed as it must be and has an image.
fn checked(form: Form<Upload>) -> Result<Upload, ServiceError> {
    let Form { sink: upload, has_file, texts } = form;
    let mut texts = texts.into_iter();
    let mut next = || texts.next().flatten();
    upload.verify(&Proof { timestamp: next(), signature: next(), sha256: next() })?;
    if has_file { Ok(upload) } else { Err(UploadError::MissingImage.into()) }
}

fn refuse_form(request: &Request, error: &FormError<ServiceError>) -> Response {
    match error {
        FormError::File(error) => refuse(request, error),
        error => Response::text(StatusCode::BAD_REQUEST, error.to_string()),
    }
}

/// An error in the words of this route, whoever has found it.
pub(super) fn dress(response: Response) -> Response {
    if response.headers.get(CONTENT_TYPE).is_some_and(|kind| kind == JSON) {
        return response;
    }
    let message = String::from_utf8_lossy(&response.body).trim_end().to_owned();
    let mut dressed = Answer { status: "error", error_message: &message, image_path: "" }.response(response.status);
    for (name, value) in &response.headers {
        if name != CONTENT_TYPE {
            dressed.headers.insert(name, value.clone());
        }
    }
    dressed.headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
    dressed
}
