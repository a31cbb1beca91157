//! Which web sites' scripts may read answers (the CORS protocol of the Fetch standard, §3.3).

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderValue, Method, StatusCode};

use crate::http::request::Request;
use crate::http::response::Response;

/// What scripts may read beside the fields that they always may.
const EXPOSED: HeaderValue = HeaderValue::from_static("ETag, Retry-After, X-Cache");
/// Seconds that a browser may remember a preflight; the most that any takes.
const MAX_AGE_S: HeaderValue = HeaderValue::from_static("86400");
/// Names of header fields that a script wants to send are repeated up to this length.
const MAX_NAMES_BYTES: usize = 1024;

/// The sites whose scripts may.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Cors {
    /// None.
    #[default]
    Nobody,
    /// All.
    Everybody,
    /// `scheme://host[:port]`, in any case.
    Sites(Vec<String>),
}

impl Cors {
    /// The answer to a browser that asks before it sends a request; `None` if this is no such question, or nobody may
    /// anyway.
    pub(super) fn preflight(&self, request: &Request, methods: &'static str) -> Option<Response> {
        let asks = request.method == Method::OPTIONS && request.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        if !asks || *self == Self::Nobody {
            return None;
        }
        if self.allowed(request).is_none() {
            return Some(Response::text(StatusCode::FORBIDDEN, "this origin is not allowed"));
        }
        let mut response = Response::empty(StatusCode::NO_CONTENT)
            .with(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(methods))
            .with(ACCESS_CONTROL_MAX_AGE, MAX_AGE_S);
        let names = request.headers.get(ACCESS_CONTROL_REQUEST_HEADERS);
        if let Some(names) = names.filter(|names| are_names(names.as_bytes())) {
            response = response.with(ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
        }
        Some(response)
    }

    /// Adds what a browser looks for in every answer.
    pub(super) fn dress(&self, request: &Request, mut response: Response) -> Response {
        let allowed = match self {
            Self::Nobody => None,
            // Whoever asks: a cache may keep the answer to one who has no origin, for one who has.
            Self::Everybody => Some(HeaderValue::from_static("*")),
            Self::Sites(_) => {
                // Caches keep the answers for different sites apart.
                response = response.with(VARY, HeaderValue::from_static("Origin"));
                self.allowed(request)
            }
        };
        match allowed {
            None => response,
            Some(origin) => {
                response.with(ACCESS_CONTROL_ALLOW_ORIGIN, origin).with(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED)
            }
        }
    }

    /// Whom the answer to a request is allowed to, if it comes from a script that may read it.
    fn allowed(&self, request: &Request) -> Option<HeaderValue> {
        let origin = request.headers.get(ORIGIN)?;
        match self {
            Self::Nobody => None,
            Self::Everybody => Some(HeaderValue::from_static("*")),
            Self::Sites(sites) => {
                let is_listed = sites.iter().any(|site| origin.as_bytes().eq_ignore_ascii_case(site.as_bytes()));
                is_listed.then(|| origin.clone())
            }
        }
    }
}

/// Names of header fields with commas between them.
fn are_names(text: &[u8]) -> bool {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b',' | b' ');
    text.len() <= MAX_NAMES_BYTES && text.iter().all(is_name)
}
