//! What stands before the emulator, so that together they answer as Google Cloud Storage documents it.
//!
//! The emulator's own are: names and their escapes, contents, the parts of an upload, the comparison of its MD5, what
//! is known of an object, and lists with their order. The front adds: tokens (`tokens`), connections that are used again,
//! refusals as Google words them, the headers of a download, 304 for `ifGenerationNotMatch`, chunks where the service
//! would unpack, pages, `fields`, the limit of names. Requests and answers pass it whole: the emulator takes one at a
//! time, and a client that stalls would hold it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use serde_json::{Value, json};

use super::tokens::Tokens;
use super::wire::{Request, Response, exchange, header};

const MAX_NAME_BYTES: usize = 1024;

pub(crate) struct Front {
    pub(crate) bucket: String,
    pub(crate) tokens: Tokens,
    /// It takes one request at a time; so what is asked of it while it is locked belongs together.
    pub(crate) emulator: Mutex<SocketAddr>,
    /// Requests to the storage, without those for tokens.
    pub(crate) n_requests: AtomicUsize,
    pub(crate) n_unauthorized: AtomicUsize,
}

impl Front {
    pub(crate) fn answer(&self, request: &Request) -> Response {
        if (request.method.as_str(), request.path.as_str()) == ("POST", "/token") {
            return self.tokens.answer(request);
        }
        self.n_requests.fetch_add(1, Ordering::Relaxed);
        if !self.tokens.has_given(request) {
            self.n_unauthorized.fetch_add(1, Ordering::Relaxed);
            return error(request, 401, "authError", "Invalid Credentials");
        }
        let (path, is_upload) = match request.path.strip_prefix("/upload") {
            Some(path) => (path, true),
            None => (request.path.as_str(), false),
        };
        let Some((bucket, object)) = path.strip_prefix("/storage/v1/b/").and_then(|rest| rest.split_once("/o")) else {
            return Response::new(404, "text/html", "<html>Not Found</html>");
        };
        if bucket != self.bucket {
            return error(request, 404, "notFound", "The specified bucket does not exist.");
        }
        match (request.method.as_str(), object.strip_prefix('/'), is_upload) {
            ("POST", None, true) => self.upload(request),
            ("GET", None, false) => self.list(request),
            ("GET", Some(name), false) => self.get(request, name),
            ("DELETE", Some(name), false) => self.delete(request, name),
            _ => Response::new(404, "text/html", "<html>Not Found</html>"),
        }
    }

    fn upload(&self, request: &Request) -> Response {
        let content_type = header(&request.headers, "content-type").unwrap_or_default();
        let name = name_of_upload(&request.body);
        if name.is_empty() || name.len() > MAX_NAME_BYTES {
            return error(request, 400, "invalid", "The specified object name is not valid.");
        }
        let target = format!("/upload/storage/v1/b/{}/o?uploadType=multipart", self.bucket);
        let answer = exchange(*self.lock(), "POST", &target, content_type, &request.body);
        let value: Value = serde_json::from_slice(&answer.body).unwrap();
        let value = if answer.status == 200 { with_fields(value, request) } else { value };
        Response::json(answer.status, &value)
    }

    fn delete(&self, request: &Request, name: &str) -> Response {
        let answer = exchange(*self.lock(), "DELETE", &self.target(name), "", b"");
        match answer.status {
            200 => Response { headers: Vec::new(), ..Response::new(204, "", "") },
            _ => missing(request, name),
        }
    }

    fn get(&self, request: &Request, name: &str) -> Response {
        let emulator = self.lock();
        let answer = exchange(*emulator, "GET", &self.target(name), "", b"");
        if answer.status != 200 {
            return missing(request, name);
        }
        let object: Value = serde_json::from_slice(&answer.body).unwrap();
        let generation = object["generation"].as_str().unwrap();
        if request.parameter("ifGenerationNotMatch").is_some_and(|known| known == generation) {
            return Response { headers: Vec::new(), ..Response::new(304, "", "") };
        }
        if request.parameter("alt").as_deref() != Some("media") {
            return Response::json(200, &with_fields(object, request));
        }
        let media = exchange(*emulator, "GET", &format!("{}?alt=media", self.target(name)), "", b"");
        drop(emulator);
        let text = |field: &str| object[field].as_str().unwrap_or_default().to_owned();
        let encoding = object["contentEncoding"].as_str().unwrap_or("identity");
        let hash = format!("crc32c={},md5={}", text("crc32c"), text("md5Hash"));
        let mut response = Response::new(200, &text("contentType"), media.body);
        for (name, value) in [
            ("ETag", text("etag")),
            ("Last-Modified", http_date(&text("updated"))),
            ("X-Goog-Generation", generation.to_owned()),
            ("X-Goog-Metageneration", text("metageneration")),
            ("X-Goog-Hash", hash),
            ("X-Goog-Storage-Class", text("storageClass")),
            ("X-Goog-Stored-Content-Encoding", encoding.to_owned()),
            ("X-Goog-Stored-Content-Length", text("size")),
        ] {
            response.headers.push((name.to_owned(), value));
        }
        response.is_chunked = encoding != "identity";
        response
    }

    /// Page tokens are the names before, made unreadable.
    fn list(&self, request: &Request) -> Response {
        let raw = |name: &str| request.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        let prefix = raw("prefix").unwrap_or_default();
        let target = format!("/storage/v1/b/{}/o?prefix={prefix}", self.bucket);
        let answer = exchange(*self.lock(), "GET", &target, "", b"");
        let mut value: Value = serde_json::from_slice(&answer.body).unwrap();
        let after = request.parameter("pageToken").map(|token| URL_SAFE.decode(token));
        let after = match after.transpose() {
            Ok(after) => after.unwrap_or_default(),
            Err(_) => return error(request, 400, "invalid", "Invalid page token"),
        };
        let limit = request.parameter("maxResults").map_or(1000, |limit| limit.parse().unwrap()).min(1000);
        let Value::Array(mut items) = value["items"].take() else { panic!("{value}") };
        items.retain(|item| item["name"].as_str().unwrap().as_bytes() > after.as_slice());
        let has_more = items.len() > limit;
        items.truncate(limit);
        let last = items.last().map(|item| URL_SAFE.encode(item["name"].as_str().unwrap()));
        let mut page = json!({"kind": "storage#objects"});
        if has_more {
            page["nextPageToken"] = last.into();
        }
        if !items.is_empty() {
            page["items"] = items.into();
        }
        Response::json(200, &with_fields(page, request))
    }

    fn target(&self, name: &str) -> String {
        format!("/storage/v1/b/{}/o/{name}", self.bucket)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, SocketAddr> {
        self.emulator.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A refusal; downloads have a text, all else JSON.
fn error(request: &Request, status: u16, reason: &str, message: &str) -> Response {
    if request.parameter("alt").as_deref() == Some("media") {
        return Response::new(status, "text/html; charset=UTF-8", message);
    }
    let errors = json!([{"message": message, "domain": "global", "reason": reason}]);
    Response::json(status, &json!({"error": {"code": status, "message": message, "errors": errors}}))
}

fn missing(request: &Request, name: &str) -> Response {
    error(request, 404, "notFound", &format!("No such object: {name}"))
}

/// The parts that `fields` names: `a,b(c,d)`.
fn with_fields(mut value: Value, request: &Request) -> Value {
    let Some(fields) = request.parameter("fields") else { return value };
    let (fields, inner) = match fields.split_once('(') {
        Some((before, rest)) => {
            let (inner, after) = rest.split_once(')').unwrap();
            let name = before.rsplit(',').next().unwrap().to_owned();
            (format!("{before}{after}"), Some((name, inner.to_owned())))
        }
        None => (fields, None),
    };
    let is_named = |fields: &str, name: &str| fields.split(',').any(|field| field == name);
    value.as_object_mut().unwrap().retain(|name, _| is_named(&fields, name));
    if let Some((name, inner)) = inner {
        for item in value.get_mut(&name).and_then(Value::as_array_mut).into_iter().flatten() {
            item.as_object_mut().unwrap().retain(|name, _| is_named(&inner, name));
        }
    }
    value
}

fn name_of_upload(body: &[u8]) -> String {
    let Some(begin) = body.iter().position(|byte| *byte == b'{') else { return String::new() };
    let first = serde_json::Deserializer::from_slice(&body[begin..]).into_iter::<Value>().next();
    first.and_then(Result::ok).and_then(|value| Some(value["name"].as_str()?.to_owned())).unwrap_or_default()
}

/// The date of a time such as `2026-11-24T12:13:58.482317Z`.
fn http_date(time: &str) -> String {
    let number = |range: std::ops::Range<usize>| time[range].parse::<u64>().unwrap();
    let (year, month, day) = (number(0..4), number(5..7), number(8..10));
    let is_leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days_of_years: u64 = (1970..year).map(|year| 365 + u64::from(is_leap(year))).sum();
    let months = [31, 28 + u64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let days = days_of_years + months[..usize::try_from(month).unwrap() - 1].iter().sum::<u64>() + day - 1;
    let seconds = days * 86_400 + number(11..13) * 3600 + number(14..16) * 60 + number(17..19);
    httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}
