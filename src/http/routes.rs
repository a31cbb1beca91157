//! Which path means what, and the answers' headers. The only place that knows URLs.

use http::header::{ALLOW, CACHE_CONTROL, ETAG, LAST_MODIFIED};
use http::{HeaderValue, Method, StatusCode};

use super::conditional::{is_not_modified, not_modified};
use super::request::Request;
use super::response::Response;
use super::status::status;
use crate::service::{self, ImageRequest, Service, ServiceError};
use crate::transform::{ScaledPath, Spec};

/// What a path leads to, whatever the method.
#[derive(Debug, PartialEq, Eq)]
enum Route<'a> {
    Index,
    Health,
    Image { key: Option<&'a str>, parameters: &'a str, path: &'a str },
    Upload { key: Option<&'a str> },
}

impl<'a> Route<'a> {
    fn of(path: &'a str) -> Option<Self> {
        let path = path.strip_prefix('/')?;
        match path {
            "" => return Some(Self::Index),
            "health" => return Some(Self::Health),
            _ => {}
        }
        let (first, rest) = path.split_once('/').unwrap_or((path, ""));
        let (key, first, rest) = match first {
            "image" | "upload" => (None, first, rest),
            key if is_key(key) => {
                let (first, rest) = rest.split_once('/').unwrap_or((rest, ""));
                (Some(key), first, rest)
            }
            _ => return None,
        };
        match first {
            "image" => rest.split_once('/').map(|(parameters, path)| Self::Image { key, parameters, path }),
            "upload" if rest.is_empty() => Some(Self::Upload { key }),
            _ => None,
        }
    }

    const fn allowed(&self) -> &'static str {
        match self {
            Self::Index | Self::Health | Self::Image { .. } => "GET, HEAD",
            Self::Upload { .. } => "POST",
        }
    }

    fn allows(&self, method: &Method) -> bool {
        self.allowed().split(", ").any(|allowed| allowed == method.as_str())
    }
}

/// An API key: letters and digits.
fn is_key(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Answers a request that needs no image work, at once and on any thread; `None` for all others.
#[must_use]
pub fn answer_inline(request: &Request) -> Option<Response> {
    let is_read = request.method == Method::GET || request.method == Method::HEAD;
    let is_health = is_read && request.target.path == "/health";
    is_health.then(health)
}

fn health() -> Response {
    Response::text(StatusCode::OK, "ok").with(CACHE_CONTROL, HeaderValue::from_static("no-store"))
}

/// Answers any request.
#[must_use]
pub fn answer(service: &Service, request: &Request) -> Response {
    let Some(route) = Route::of(&request.target.path) else {
        return Response::text(StatusCode::NOT_FOUND, "not found");
    };
    if !route.allows(&request.method) {
        return Response::text(StatusCode::METHOD_NOT_ALLOWED, "method not allowed")
            .with(ALLOW, HeaderValue::from_static(route.allowed()));
    }
    match route {
        Route::Index => Response::text(StatusCode::OK, "It works!"),
        Route::Health => health(),
        // No key can exist yet, so every given one is wrong.
        Route::Image { key: Some(_), .. } | Route::Upload { key: Some(_) } => {
            Response::text(StatusCode::UNAUTHORIZED, "API key invalid or missing")
        }
        Route::Upload { key: None } => Response::text(StatusCode::NOT_IMPLEMENTED, "uploads are not supported yet"),
        Route::Image { key: None, parameters, path } => match parse(parameters, path) {
            Ok(image) => show(service, request, &image),
            Err(reason) => Response::text(StatusCode::BAD_REQUEST, reason),
        },
    }
}

fn parse(parameters: &str, path: &str) -> Result<ImageRequest, String> {
    let parameters = percent_encoding::percent_decode_str(parameters).decode_utf8();
    let parameters = parameters.map_err(|_| "the parameters are not UTF-8".to_owned())?;
    let spec: Spec = parameters.parse().map_err(|error: crate::transform::TransformError| error.to_string())?;
    let ScaledPath { source, scale } = ScaledPath::from_url(path).map_err(|error| error.to_string())?;
    Ok(ImageRequest { spec, source, scale })
}

fn show(service: &Service, request: &Request, image: &ImageRequest) -> Response {
    let answer = match service::find_image(service, image) {
        Ok(answer) => answer,
        Err(error) => return refuse(request, &error),
    };
    let tag = format!("\"{}\"", answer.tag);
    let modified = answer.modified;
    let describe = |response: Response| {
        let cache_control = format!("public, max-age={}", service.max_age_s);
        response
            .with(ETAG, header(&tag))
            .with(LAST_MODIFIED, header(&httpdate::fmt_http_date(modified)))
            .with(CACHE_CONTROL, header(&cache_control))
    };
    if is_not_modified(&request.method, &request.headers, &tag, Some(modified)) {
        return not_modified(&describe(Response::empty(StatusCode::OK)));
    }
    match service::make_image(service, answer) {
        Ok(encoded) => describe(Response::bytes(encoded.format.media_type(), encoded.bytes)),
        Err(error) => refuse(request, &error),
    }
}

/// The client reads what it can mend; the log has the whole chain of what the server should.
fn refuse(request: &Request, error: &ServiceError) -> Response {
    let (status, text) = status(error);
    if status.is_server_error() {
        tracing::error!(id = request.id, "{}", service::chain(error));
    }
    match status {
        StatusCode::SERVICE_UNAVAILABLE => Response::unavailable(text),
        status => Response::text(status, text),
    }
}

fn header(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("tags, dates and numbers are visible ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, expected: Option<Route>) {
        assert_eq!(Route::of(path), expected, "{path}");
    }

    #[test]
    fn paths_lead_to_routes() {
        check("/", Some(Route::Index));
        check("/health", Some(Route::Health));
        check("/image/w_1/a/b.jpg", Some(Route::Image { key: None, parameters: "w_1", path: "a/b.jpg" }));
        check("/Ab9/image/w_1/a.jpg", Some(Route::Image { key: Some("Ab9"), parameters: "w_1", path: "a.jpg" }));
        check("/image/w_1//a.jpg", Some(Route::Image { key: None, parameters: "w_1", path: "/a.jpg" }));
        check("/image/w_1/", Some(Route::Image { key: None, parameters: "w_1", path: "" }));
        check("/upload", Some(Route::Upload { key: None }));
        check("/Ab9/upload", Some(Route::Upload { key: Some("Ab9") }));
        for unknown in ["", "//", "/image", "/image/w_1", "/a-b/image/w_1/a.jpg", "/upload/x", "/x", "/Image/w_1/a.jpg"]
        {
            check(unknown, None);
        }
    }
}
