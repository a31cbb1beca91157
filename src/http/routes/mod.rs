//! Which path means what, and the answers' headers. The only place that knows URLs.

mod complaints;
mod cors;
mod upload;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::header::{ALLOW, CACHE_CONTROL, ETAG, LAST_MODIFIED, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Method, StatusCode};

use super::client::client_address;
use super::conditional::{is_not_modified, not_modified};
use super::range::part_of;
use super::reply::Reply;
use super::request::Request;
use super::response::{Notes, Response};
use super::status::status;
use crate::access::{AddressRange, ApiKey, Permission};
use crate::metrics::{self, CacheResult, StageTimes, count_shed};
use crate::raster::Format;
use crate::service::{
    self, AccessError, Answer, Busy, Image, ImageRequest, Origin, Readiness, Service, ServiceError, StoreError,
};
use crate::transform::{ScaledPath, Spec};

use complaints::Complaints;

pub use cors::Cors;

/// What was told in the last minute.
static COMPLAINTS: Complaints = Complaints::new();

/// Where an image came from: `hit`, `miss` or `coalesced`.
const X_CACHE: HeaderName = HeaderName::from_static("x-cache");
/// How a proxy says that it can send files itself, and how it is told to.
const SENDFILE_TYPE: HeaderName = HeaderName::from_static("x-sendfile-type");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");
const ACCEL_REDIRECT: HeaderName = HeaderName::from_static("x-accel-redirect");

/// What a path leads to, whatever the method.
#[derive(Debug, PartialEq, Eq)]
enum Route<'a> {
    Index,
    Health,
    Ready,
    Metrics,
    Image { key: Option<&'a str>, parameters: &'a str, path: &'a str },
    Upload { key: Option<&'a str> },
}

impl<'a> Route<'a> {
    fn of(path: &'a str) -> Option<Self> {
        let path = path.strip_prefix('/')?;
        match path {
            "" => return Some(Self::Index),
            "health" => return Some(Self::Health),
            "ready" => return Some(Self::Ready),
            "metrics" => return Some(Self::Metrics),
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
            Self::Index | Self::Health | Self::Ready | Self::Metrics | Self::Image { .. } => "GET, HEAD",
            Self::Upload { .. } => "POST",
        }
    }

    /// Whether any number of requests may come.
    const fn is_exempt(&self) -> bool {
        matches!(self, Self::Health | Self::Ready)
    }

    const fn label(&self) -> metrics::Route {
        match self {
            Self::Index => metrics::Route::Index,
            Self::Health => metrics::Route::Health,
            Self::Ready => metrics::Route::Ready,
            Self::Metrics => metrics::Route::Metrics,
            Self::Image { .. } => metrics::Route::Image,
            Self::Upload { .. } => metrics::Route::Upload,
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

/// What is served, and what the answers depend on beside it.
#[derive(Debug)]
pub struct Site {
    /// Makes the images.
    pub service: Arc<Service>,
    /// What `/ready` tells.
    pub readiness: Arc<Readiness>,
    /// Whose scripts may read answers.
    pub cors: Cors,
    /// Whose word counts for where a request comes from.
    pub trusted_proxies: Vec<AddressRange>,
    /// The URL path under which a proxy in front of us serves the folder of the cache, if one does; ends with `/`.
    pub accel_prefix: Option<String>,
    /// Whether `/metrics` is answered here, and not at an address of its own.
    pub shows_metrics: bool,
    /// Whether answers tell how long their stages took.
    pub debug_headers: bool,
}

/// Answers a request that needs neither work nor waiting: whatever is no image, an image that the client has, or one
/// that is in memory. `None` for all others.
#[must_use]
pub fn answer_at_once(site: &Site, request: &Request) -> Option<Response> {
    let image = match route(site, request) {
        Routed::Exempt(response) => return Some(response),
        Routed::Answer(response) => return throttled_at_once(site, request)?.or(Some(response)),
        Routed::Upload(_) | Routed::Metrics => return None,
        Routed::Image(image) => image,
    };
    let answer = service::find_image_at_once(&site.service, &image)?;
    if let Some(response) = unneeded(site, request, &answer) {
        return Some(response);
    }
    let throttle = &site.service.access.throttle;
    if !throttle.counts_at_once() {
        return throttled_at_once(site, request)?;
    }
    if let Some(place) = accelerated(site, request).and_then(|_| service::place_at_once(&site.service, &answer)) {
        return throttled(site, request).or_else(|| Some(elsewhere(site, &answer, &place)));
    }
    let image = service::hot_image(&site.service, &answer)?;
    if let Some(response) = throttled(site, request) {
        return Some(response);
    }
    let whole = show(site, (&answer.tag, answer.modified), image, (Origin::Memory, StageTimes::default()));
    Some(part_of(whole, request))
}

/// Answers any request, at once or when its image is made.
pub fn answer(site: &Arc<Site>, request: Arc<Request>, reply: Reply) {
    let image = match route(site, &request) {
        Routed::Exempt(response) => return reply.send(response),
        Routed::Answer(response) => return reply.send(throttled(site, &request).unwrap_or(response)),
        Routed::Metrics => return reply.send(throttled(site, &request).unwrap_or_else(|| tell_metrics(site))),
        Routed::Upload(key) => {
            return match throttled(site, &request) {
                Some(response) => reply.send(response),
                None => upload::begin(site, key.as_ref(), &request, reply),
            };
        }
        Routed::Image(image) => image,
    };
    let found = service::find_image(&site.service, &image);
    if let Some(response) = found.as_ref().ok().and_then(|answer| unneeded(site, &request, answer)) {
        return reply.send(response);
    }
    // A client that has the image may ask for it as often as it likes.
    if let Some(response) = throttled(site, &request) {
        return reply.send(response);
    }
    let answer = match found {
        Ok(answer) => answer,
        Err(error) => return reply.send(refuse(&request, &error)),
    };
    if let Some(place) = accelerated(site, &request).and_then(|_| service::place(&site.service, &answer)) {
        return reply.send(elsewhere(site, &answer, &place));
    }
    let its_site = Arc::clone(site);
    let claim = reply.claim();
    service::get_image(&site.service, answer, Box::new(move || claim.take()), move |made, origin| {
        reply.send(match made {
            Ok(made) => {
                let about = (&*made.tag, made.modified);
                let whole = show(&its_site, about, made.image.clone(), (origin, made.times));
                part_of(whole, &request)
            }
            Err(error) => refuse(&request, &error),
        });
    });
}

/// What a path and a method ask for.
enum Routed {
    Image(ImageRequest),
    Upload(Option<ApiKey>),
    /// Takes a moment too long for the loop: it looks at every open file.
    Metrics,
    /// No image, or none that may be had.
    Answer(Response),
    /// The same, however many ask.
    Exempt(Response),
}

/// Puts an answer into its last shape: errors of uploads are JSON, and browsers are told whose scripts may read it.
pub fn dress(site: &Site, request: &Request, response: Response) -> Response {
    let is_error = response.status.is_client_error() || response.status.is_server_error();
    let route = Route::of(&request.target.path).map(|route| route.label()).unwrap_or_default();
    let client = client_address(request, &site.trusted_proxies);
    let notes = Notes { route, client, ..response.notes };
    let mut response = if is_error && route == metrics::Route::Upload { upload::dress(response) } else { response };
    response.notes = notes;
    let response = if site.debug_headers { tell_times(response) } else { response };
    site.cors.dress(request, response)
}

/// Tells how long the stages took (W3C Server Timing).
fn tell_times(response: Response) -> Response {
    let Notes { cache, times, .. } = response.notes;
    let cache = (cache != CacheResult::None).then(|| format!("cache;desc={}", cache.name()));
    let stages = times.iter().map(|(stage, time)| format!("{};dur={:.3}", stage.name(), time.as_secs_f64() * 1e3));
    let values: Vec<String> = cache.into_iter().chain(stages).collect();
    if values.is_empty() { response } else { response.with(SERVER_TIMING, header(&values.join(", "))) }
}

/// Answers at the address that is for `/metrics` alone, where nobody is counted.
#[must_use]
pub fn answer_metrics(site: &Site, request: &Request) -> Response {
    let allowed = HeaderValue::from_static("GET, HEAD");
    match (Route::of(&request.target.path), &request.method) {
        (Some(Route::Metrics), &Method::GET | &Method::HEAD) => tell_metrics(site),
        (Some(Route::Metrics), _) => {
            Response::text(StatusCode::METHOD_NOT_ALLOWED, "method not allowed").with(ALLOW, allowed)
        }
        _ => Response::text(StatusCode::NOT_FOUND, "not found: here is /metrics alone"),
    }
}

fn tell_metrics(site: &Site) -> Response {
    site.readiness.show();
    uncached(Response::bytes(metrics::TEXT_FORMAT, metrics::metrics().text()))
}

fn route(site: &Site, request: &Request) -> Routed {
    let Some(route) = Route::of(&request.target.path) else {
        return Routed::Answer(Response::text(StatusCode::NOT_FOUND, "not found"));
    };
    if let Some(response) = site.cors.preflight(request, route.allowed()) {
        return Routed::Exempt(response);
    }
    if !route.allows(&request.method) {
        let response = Response::text(StatusCode::METHOD_NOT_ALLOWED, "method not allowed");
        return Routed::Answer(response.with(ALLOW, HeaderValue::from_static(route.allowed())));
    }
    let is_exempt = route.is_exempt();
    let response = match route {
        Route::Index => Response::text(StatusCode::OK, "It works!"),
        Route::Health => uncached(Response::text(StatusCode::OK, "ok")),
        Route::Ready => uncached(match site.readiness.get() {
            Ok(()) => Response::text(StatusCode::OK, "ready"),
            Err(reason) => {
                tracing::debug!("not ready: {reason}");
                Response::unavailable("not ready")
            }
        }),
        Route::Metrics if site.shows_metrics => return Routed::Metrics,
        Route::Metrics => Response::text(StatusCode::NOT_FOUND, "not found"),
        Route::Upload { key } => match parse_key(key) {
            Ok(key) => return Routed::Upload(key),
            Err(denied) => refuse(request, &denied.into()),
        },
        Route::Image { key, parameters, path } => match (parse_key(key), parse(parameters, path)) {
            (Err(denied), _) => refuse(request, &denied.into()),
            (Ok(key), Ok((spec, ScaledPath { source, scale }))) => {
                return Routed::Image(ImageRequest { key, spec, source, scale });
            }
            (Ok(_), Err(reason)) => Response::text(StatusCode::BAD_REQUEST, reason),
        },
    };
    if is_exempt { Routed::Exempt(response) } else { Routed::Answer(response) }
}

/// The key of a path, if there is one. One that nobody can have is as wrong as any other.
fn parse_key(text: Option<&str>) -> Result<Option<ApiKey>, AccessError> {
    text.map(|text| ApiKey::parse(text).ok_or(AccessError::Denied)).transpose()
}

/// The answer to one request too many.
fn throttled(site: &Site, request: &Request) -> Option<Response> {
    let client = client_address(request, &site.trusted_proxies);
    site.service.access.throttle.check(client).err().map(too_many)
}

/// As `throttled`, where it can be told at once; `None` if it cannot.
#[expect(clippy::option_option, reason = "not known, and not one too many, are two things")]
fn throttled_at_once(site: &Site, request: &Request) -> Option<Option<Response>> {
    let client = client_address(request, &site.trusted_proxies);
    Some(site.service.access.throttle.check_at_once(client)?.err().map(too_many))
}

fn too_many(wait: Duration) -> Response {
    count_shed("throttling-rate");
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    Response::text(StatusCode::TOO_MANY_REQUESTS, "too many requests").with(RETRY_AFTER, seconds.max(1))
}

fn uncached(response: Response) -> Response {
    response.with(CACHE_CONTROL, HeaderValue::from_static("no-store"))
}

fn parse(parameters: &str, path: &str) -> Result<(Spec, ScaledPath), String> {
    let parameters = percent_encoding::percent_decode_str(parameters).decode_utf8();
    let parameters = parameters.map_err(|_| "the parameters are not UTF-8".to_owned())?;
    let spec: Spec = parameters.parse().map_err(|error: crate::transform::TransformError| error.to_string())?;
    let path = ScaledPath::from_url(path).map_err(|error| error.to_string())?;
    Ok((spec, path))
}

/// The 304 for a client that has the image.
fn unneeded(site: &Site, request: &Request, answer: &Answer) -> Option<Response> {
    let tag = quoted(&answer.tag);
    let has = is_not_modified(&request.method, &request.headers, &tag, Some(answer.modified));
    has.then(|| not_modified(&describe(site, Response::empty(StatusCode::OK), &answer.tag, answer.modified)))
}

/// The folder of the cache as the proxy that sent this request serves it.
fn accelerated<'a>(site: &'a Site, request: &Request) -> Option<&'a str> {
    let prefix = site.accel_prefix.as_deref()?;
    let asks = request.headers.get(SENDFILE_TYPE).is_some_and(|value| value == "X-Accel-Redirect");
    asks.then_some(prefix)
}

/// Tells the proxy which file it is to send.
fn elsewhere(site: &Site, answer: &Answer, place: &str) -> Response {
    let prefix = site.accel_prefix.as_deref().unwrap_or("/");
    let format = if place.ends_with(".png") { Format::Png } else { Format::Jpeg };
    let response = Response::bytes(format.media_type(), "")
        .with(ACCEL_REDIRECT, header(&format!("{prefix}{place}")))
        .with(X_CACHE, HeaderValue::from_static("hit"))
        .noting(CacheResult::Hit, StageTimes::default());
    describe(site, response, &answer.tag, answer.modified)
}

fn show(
    site: &Site,
    (tag, modified): (&str, SystemTime),
    image: Image,
    (origin, times): (Origin, StageTimes),
) -> Response {
    let came = match origin {
        Origin::Memory | Origin::Disk => CacheResult::Hit,
        Origin::Made => CacheResult::Miss,
        Origin::Coalesced => CacheResult::Coalesced,
    };
    let response = Response::bytes(image.format.media_type(), image.bytes)
        .with(X_CACHE, HeaderValue::from_static(came.name()))
        .noting(came, times);
    describe(site, response, tag, modified)
}

/// What an image and its 304 have in common.
fn describe(site: &Site, response: Response, tag: &str, modified: SystemTime) -> Response {
    // A key that is taken back must not be outlived by what proxies have kept.
    let who = if site.service.access.is_public(Permission::Get) { "public" } else { "private" };
    response
        .with(ETAG, header(&quoted(tag)))
        .with(LAST_MODIFIED, header(&httpdate::fmt_http_date(modified)))
        .with(CACHE_CONTROL, header(&format!("{who}, max-age={}", site.service.max_age_s)))
}

fn quoted(tag: &str) -> String {
    format!("\"{tag}\"")
}

/// The client reads what it can mend; the log has the whole chain of what the server should.
fn refuse(request: &Request, error: &ServiceError) -> Response {
    let (status, text) = status(error);
    if let ServiceError::Busy(Busy(bound)) = error {
        count_shed(bound);
    }
    if status.is_server_error() {
        complain(request, error);
    }
    match status {
        StatusCode::SERVICE_UNAVAILABLE => Response::unavailable(text),
        status => Response::text(status, text),
    }
}

/// Tells what the server should mend. What may come with every request is told once a minute.
fn complain(request: &Request, error: &ServiceError) {
    let n_before = match error {
        // The index has said so once.
        ServiceError::Access(_) => return,
        ServiceError::Busy(_) => COMPLAINTS.note("busy".to_owned()),
        ServiceError::Store(StoreError::Full { .. }) => COMPLAINTS.note("full".to_owned()),
        ServiceError::Store(_) => COMPLAINTS.note("storage".to_owned()),
        // By its name and what is wrong with it.
        ServiceError::Watermark { .. } => COMPLAINTS.note(service::chain(error)),
        // Each is a fault of its own.
        _ => Some(0),
    };
    let Some(n_before) = n_before else {
        return;
    };
    let more = if n_before == 0 { String::new() } else { format!(" (and {n_before} times before, in a minute)") };
    let id = request.id;
    match error {
        ServiceError::Busy(_) => tracing::warn!(id, "images are answered 503: there is more to do than time{more}"),
        error => tracing::error!(id, "{}{more}", service::chain(error)),
    }
}

fn header(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("tags, dates, numbers and our own paths are visible ASCII")
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
        check("/ready", Some(Route::Ready));
        check("/metrics", Some(Route::Metrics));
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
