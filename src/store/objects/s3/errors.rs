//! What an answer that is no success means: which of them is worth another try, and what is to be mended for the others.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html> lists the codes.

use std::io::Read;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, Response, StatusCode};
use ureq::Body;

use super::super::ObjectError;
use super::xml;

/// An answer that tells of an error is a few hundred bytes.
const MAX_ERROR_BYTES: u64 = 64 << 10;
/// Of what S3 says itself, so much is told on.
const MAX_TOLD_CHARS: usize = 300;
/// S3 takes no request whose clock is off by more.
const MAX_SKEW: Duration = Duration::from_secs(15 * 60);

/// What was asked for.
pub(super) struct Asked<'a> {
    pub(super) action: Action,
    pub(super) bucket: &'a str,
    pub(super) region: &'a str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Get,
    Head,
    Put,
    Delete,
    List,
}

impl Action {
    /// What a key has to be allowed for it, in the words of IAM.
    fn permission(self) -> &'static str {
        match self {
            Self::Get | Self::Head => "s3:GetObject",
            Self::Put => "s3:PutObject",
            Self::Delete => "s3:DeleteObject",
            Self::List => "s3:ListBucket",
        }
    }
}

/// What the answer says.
#[derive(Debug, Default)]
struct Problem {
    status: StatusCode,
    /// Empty if there is none, as after a `HEAD`, whose answers have no body.
    code: String,
    message: String,
    /// Where the bucket is.
    region: String,
    /// Where the answer points to.
    elsewhere: String,
    /// The server's clock.
    date: Option<SystemTime>,
}

/// Reads the answer to its end, and judges it.
pub(super) fn read(asked: &Asked, answer: Response<Body>) -> ObjectError {
    let (head, body) = answer.into_parts();
    let mut text = Vec::new();
    // What has come of a body that breaks off is as good as any.
    let _ = body.into_reader().take(MAX_ERROR_BYTES).read_to_end(&mut text);
    judge(asked, &Problem::new(head.status, &head.headers, &text), SystemTime::now())
}

impl Problem {
    fn new(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let mut problem = Self {
            status,
            region: plain(header("x-amz-bucket-region").unwrap_or_default()),
            elsewhere: plain(header("location").unwrap_or_default()),
            date: header("date").and_then(|date| httpdate::parse_http_date(date).ok()),
            ..Self::default()
        };
        // Whatever else a proxy may answer: it tells nothing then.
        let _ = xml::walk(body, |path, text| match path.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["Error", "Code"] => problem.code = plain(text),
            ["Error", "Message"] => problem.message = plain(text),
            ["Error", "Region"] => problem.region = plain(text),
            ["Error", "Endpoint"] => problem.elsewhere = plain(text),
            _ => {}
        });
        problem
    }

    /// "503 SlowDown"
    fn name(&self) -> String {
        format!("{} {}", self.status.as_u16(), self.code).trim_end().to_owned()
    }

    /// By how much the server's clock differs from that of this machine.
    fn skew(&self, now: SystemTime) -> Option<Duration> {
        let date = self.date?;
        now.duration_since(date).or_else(|_| date.duration_since(now)).ok()
    }

    fn is_worth_another(&self) -> bool {
        const CODES: [&str; 9] = [
            "BadDigest",
            "ConditionalRequestConflict",
            "IncompleteBody",
            "InternalError",
            "OperationAborted",
            "RequestTimeout",
            "ServiceUnavailable",
            "SlowDown",
            "XAmzContentSHA256Mismatch",
        ];
        match self.status {
            StatusCode::NOT_IMPLEMENTED => false,
            StatusCode::REQUEST_TIMEOUT | StatusCode::CONFLICT | StatusCode::TOO_MANY_REQUESTS => true,
            // A success that is none of those that were asked for.
            status => status.is_server_error() || status.is_success() || CODES.contains(&self.code.as_str()),
        }
    }
}

fn judge(asked: &Asked, problem: &Problem, now: SystemTime) -> ObjectError {
    let (bucket, permission) = (asked.bucket, asked.action.permission());
    let is_skewed = problem.skew(now).is_some_and(|skew| skew > MAX_SKEW);
    let reason = match (problem.code.as_str(), problem.status.as_u16()) {
        ("NoSuchBucket", _) => format!("there is no bucket {bucket}"),
        ("InvalidAccessKeyId", _) => "AWS_ACCESS_KEY_ID is not known there".to_owned(),
        ("SignatureDoesNotMatch", _) => "AWS_SECRET_ACCESS_KEY does not fit AWS_ACCESS_KEY_ID".to_owned(),
        ("RequestTimeTooSkewed", _) => clock(problem, now),
        ("", 403) if is_skewed => clock(problem, now),
        // Another permission than that for the object: the one for the key that it is encrypted with.
        ("AccessDenied", _) if !problem.message.contains("kms:") => {
            format!("the key has no permission for {permission} on {bucket}")
        }
        _ if !problem.is_worth_another() && asked.is_missing(problem) => return ObjectError::Missing,
        _ if asked.is_elsewhere(problem) => asked.place(problem),
        _ if problem.is_worth_another() => return ObjectError::Failed(format!("Amazon S3 answers {}", problem.name())),
        ("", status) => format!("{permission} on {bucket} is refused ({status})"),
        _ if problem.message.is_empty() => format!("Amazon S3 answers {}", problem.name()),
        _ => format!("Amazon S3 answers {}: {}", problem.name(), problem.message),
    };
    ObjectError::Refused(reason)
}

impl Asked<'_> {
    fn is_missing(&self, problem: &Problem) -> bool {
        let is_object = matches!(self.action, Action::Get | Action::Head | Action::Delete);
        problem.code == "NoSuchKey" || (is_object && problem.status == StatusCode::NOT_FOUND)
    }

    fn is_elsewhere(&self, problem: &Problem) -> bool {
        let is_other = !problem.region.is_empty() && problem.region != self.region;
        let is_told = ["AuthorizationHeaderMalformed", ""].contains(&problem.code.as_str())
            && problem.status == StatusCode::BAD_REQUEST
            && is_other;
        is_told || problem.status.is_redirection() || problem.code == "IllegalLocationConstraintException"
    }

    /// Redirects are not followed: the signature holds for one address.
    fn place(&self, problem: &Problem) -> String {
        let Self { bucket, region, .. } = self;
        if !problem.region.is_empty() && problem.region != *region {
            format!("the bucket {bucket} is in the region {}, not in {region}", problem.region)
        } else if problem.elsewhere.is_empty() {
            format!("the bucket {bucket} is not in the region {region}, or has another address ({})", problem.name())
        } else {
            format!("the bucket {bucket} has another address: {} ({})", problem.elsewhere, problem.name())
        }
    }
}

fn clock(problem: &Problem, now: SystemTime) -> String {
    let told = problem.date.zip(problem.skew(now));
    let Some((date, skew)) = told.filter(|&(date, _)| can_be_written(date)) else {
        return "the clock of this machine is off".to_owned();
    };
    let minutes = (skew.as_secs() + 30) / 60;
    let date = httpdate::fmt_http_date(date);
    format!("the clock of this machine is off by {minutes} minutes: the server says {date}")
}

/// httpdate writes no other years.
fn can_be_written(date: SystemTime) -> bool {
    const END: Duration = Duration::from_secs(253_402_300_800);
    date.duration_since(SystemTime::UNIX_EPOCH).is_ok_and(|since| since < END)
}

/// Text from outside, as it may stand in a message.
fn plain(text: &str) -> String {
    text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_TOLD_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const ASKED: Asked<'_> = Asked { action: Action::Put, bucket: "pictures", region: "eu-central-1" };

    fn asked(action: Action) -> Asked<'static> {
        Asked { action, ..ASKED }
    }

    fn error(code: &str, rest: &str) -> String {
        format!("<?xml version=\"1.0\"?>\n<Error><Code>{code}</Code><Message>Says S3.</Message>{rest}</Error>")
    }

    fn judged(asked: &Asked, status: u16, headers: &[(&'static str, &'static str)], body: &str) -> ObjectError {
        let headers = headers.iter().map(|&(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)));
        let status = StatusCode::from_u16(status).unwrap();
        let problem = Problem::new(status, &headers.collect(), body.as_bytes());
        judge(asked, &problem, httpdate::parse_http_date("Tue, 24 Nov 2026 12:00:00 GMT").unwrap())
    }

    #[track_caller]
    fn refused(error: &ObjectError, expected: &str) {
        assert!(matches!(error, ObjectError::Refused(reason) if reason == expected), "{error:?}, not {expected}");
    }

    #[test]
    fn refusals_name_what_is_to_be_mended() {
        for (code, status, expected) in [
            ("NoSuchBucket", 404, "there is no bucket pictures"),
            ("InvalidAccessKeyId", 403, "AWS_ACCESS_KEY_ID is not known there"),
            ("SignatureDoesNotMatch", 403, "AWS_SECRET_ACCESS_KEY does not fit AWS_ACCESS_KEY_ID"),
            ("AccessDenied", 403, "the key has no permission for s3:PutObject on pictures"),
            ("RequestTimeTooSkewed", 403, "the clock of this machine is off"),
            ("InvalidStorageClass", 400, "Amazon S3 answers 400 InvalidStorageClass: Says S3."),
            ("NotImplemented", 501, "Amazon S3 answers 501 NotImplemented: Says S3."),
            ("NoSuchUpload", 404, "Amazon S3 answers 404 NoSuchUpload: Says S3."),
        ] {
            refused(&judged(&ASKED, status, &[], &error(code, "")), expected);
        }
        for (action, permission) in
            [(Action::Get, "GetObject"), (Action::Delete, "DeleteObject"), (Action::List, "ListBucket")]
        {
            let denied = judged(&asked(action), 403, &[], &error("AccessDenied", ""));
            refused(&denied, &format!("the key has no permission for s3:{permission} on pictures"));
        }
    }

    #[test]
    fn a_permission_for_another_key_is_told_in_the_words_of_s3() {
        let body = "<Error><Code>AccessDenied</Code><Message>not authorized to perform: kms:Decrypt</Message></Error>";
        let expected = "Amazon S3 answers 403 AccessDenied: not authorized to perform: kms:Decrypt";
        refused(&judged(&ASKED, 403, &[], body), expected);
    }

    #[test]
    fn the_answer_to_a_head_tells_by_its_status() {
        let head = asked(Action::Head);
        refused(&judged(&head, 403, &[], ""), "s3:GetObject on pictures is refused (403)");
        refused(&judged(&head, 400, &[], ""), "s3:GetObject on pictures is refused (400)");
        assert!(matches!(judged(&head, 404, &[], ""), ObjectError::Missing));
        assert!(
            matches!(judged(&head, 503, &[], ""), ObjectError::Failed(reason) if reason == "Amazon S3 answers 503")
        );
    }

    #[test]
    fn a_wrong_clock_is_told_by_how_much() {
        let date = [("date", "Tue, 24 Nov 2026 12:20:29 GMT")];
        let expected = "the clock of this machine is off by 20 minutes: the server says Tue, 24 Nov 2026 12:20:29 GMT";
        refused(&judged(&ASKED, 403, &date, &error("RequestTimeTooSkewed", "")), expected);
        refused(&judged(&asked(Action::Head), 403, &date, ""), expected);
        let date = [("date", "Tue, 24 Nov 2026 11:59:00 GMT")];
        refused(&judged(&asked(Action::Head), 403, &date, ""), "s3:GetObject on pictures is refused (403)");
    }

    #[test]
    fn another_region_or_address_is_named() {
        let expected = "the bucket pictures is in the region us-west-2, not in eu-central-1";
        let region = "<Region>us-west-2</Region>";
        refused(&judged(&ASKED, 400, &[], &error("AuthorizationHeaderMalformed", region)), expected);
        let header = [("x-amz-bucket-region", "us-west-2")];
        refused(&judged(&asked(Action::Head), 301, &header, ""), expected);
        refused(&judged(&asked(Action::Head), 400, &header, ""), expected);
        let endpoint = "<Endpoint>pictures.s3.us-west-2.amazonaws.com</Endpoint>";
        refused(
            &judged(&ASKED, 307, &[], &error("TemporaryRedirect", endpoint)),
            "the bucket pictures has another address: pictures.s3.us-west-2.amazonaws.com (307 TemporaryRedirect)",
        );
        refused(
            &judged(&ASKED, 301, &[], ""),
            "the bucket pictures is not in the region eu-central-1, or has another address (301)",
        );
        refused(
            &judged(&ASKED, 400, &[], &error("AuthorizationHeaderMalformed", "")),
            "Amazon S3 answers 400 AuthorizationHeaderMalformed: Says S3.",
        );
    }

    #[test]
    fn what_passes_is_worth_another_try() {
        for (code, status) in [
            ("SlowDown", 503),
            ("InternalError", 500),
            ("RequestTimeout", 400),
            ("BadDigest", 400),
            ("XAmzContentSHA256Mismatch", 400),
            ("OperationAborted", 409),
            ("TooManyRequests", 429),
        ] {
            let expected = format!("Amazon S3 answers {status} {code}");
            let judged = judged(&ASKED, status, &[], &error(code, ""));
            assert!(matches!(&judged, ObjectError::Failed(reason) if *reason == expected), "{judged:?}");
        }
        for body in ["<html><br>Bad gateway", "", "\0\u{fffd}"] {
            assert!(matches!(judged(&ASKED, 502, &[], body), ObjectError::Failed(_)));
        }
    }

    #[test]
    fn missing_is_only_an_object() {
        for action in [Action::Get, Action::Head, Action::Delete] {
            assert!(matches!(judged(&asked(action), 404, &[], ""), ObjectError::Missing));
            assert!(matches!(judged(&asked(action), 404, &[], &error("NoSuchKey", "")), ObjectError::Missing));
            refused(&judged(&asked(action), 404, &[], &error("NoSuchBucket", "")), "there is no bucket pictures");
        }
        for action in [Action::Put, Action::List] {
            assert!(matches!(judged(&asked(action), 404, &[], ""), ObjectError::Refused(_)));
        }
    }

    #[test]
    fn messages_are_bounded_and_have_one_line() {
        let body = format!("<Error><Code>Odd\u{1b}</Code><Message>a\nb{}</Message></Error>", "x".repeat(10_000));
        let ObjectError::Refused(reason) = judged(&ASKED, 400, &[], &body.replace('\u{1b}', "")) else { panic!() };
        assert!(reason.starts_with("Amazon S3 answers 400 Odd: a bx") && reason.len() < 400, "{reason}");
        for date in ["Fri, 31 Dec 9999 23:59:59 GMT", "Thu, 01 Jan 1970 00:00:00 GMT", "x"] {
            let judged = judged(&ASKED, 403, &[("date", date)], &error("RequestTimeTooSkewed", ""));
            assert!(judged.to_string().starts_with("the clock of this machine is off"), "{judged}");
        }
    }
}
