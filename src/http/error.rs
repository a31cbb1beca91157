//! Why a head is refused. The text of each variant is what the client reads, so it names no input.

use http::StatusCode;

/// A head that no handler gets to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// A CR without LF, a LF without CR, or a NUL.
    #[error("bad line end or NUL in the request head")]
    Line,
    /// More than one empty line before the request line.
    #[error("empty line before the request line")]
    LeadingLines,
    /// Not `method SP target SP version`.
    #[error("bad request line")]
    RequestLine,
    /// A method longer than any we could know.
    #[error("method not implemented")]
    Method,
    /// Not a path nor an absolute http address, or bytes outside 0x21-0x7e.
    #[error("bad request target")]
    Target,
    /// A target over the limit.
    #[error("request target too long")]
    TargetTooLong,
    /// A version that is neither 1.0 nor 1.1.
    #[error("HTTP version not supported")]
    Version,
    /// A head, a line or a number of lines over the limit.
    #[error("request head too large")]
    TooLarge,
    /// A header line continued on the next one (obs-fold).
    #[error("folded header line")]
    Folded,
    /// A header line outside the grammar.
    #[error("bad header line")]
    Header,
    /// No Host, two of them, or one outside the host grammar.
    #[error("bad or missing Host")]
    Host,
    /// Two lengths, a length that is not 1-19 digits, or one beside Transfer-Encoding.
    #[error("bad Content-Length")]
    ContentLength,
    /// A declared body over the limit.
    #[error("request body too large")]
    BodyTooLarge,
    /// Transfer-Encoding twice, in HTTP/1.0 or beside Content-Length.
    #[error("bad Transfer-Encoding")]
    TransferEncoding,
    /// A transfer coding other than `chunked`.
    #[error("transfer coding not implemented")]
    TransferCoding,
    /// The head was not whole in time.
    #[error("request head not received in time")]
    Timeout,
}

impl HeadError {
    /// The status that a refused head is answered with; the connection is closed after it.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::Line
            | Self::LeadingLines
            | Self::RequestLine
            | Self::Target
            | Self::Folded
            | Self::Header
            | Self::Host
            | Self::ContentLength
            | Self::TransferEncoding => StatusCode::BAD_REQUEST,
            Self::Method | Self::TransferCoding => StatusCode::NOT_IMPLEMENTED,
            Self::TargetTooLong => StatusCode::URI_TOO_LONG,
            Self::Version => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Self::TooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Timeout => StatusCode::REQUEST_TIMEOUT,
        }
    }
}
