//! Names of source images: relative paths that cannot leave the storage they are looked up in.

use std::fmt;

/// Longest name in bytes; S3 and GCS allow no more.
const MAX_PATH_BYTES: usize = 1024;
/// Longest file or folder name in bytes on common file systems.
const MAX_SEGMENT_BYTES: usize = 255;
/// First segments that belong to the server itself.
const RESERVED: [&str; 1] = ["cache"];
/// How such names begin.
pub const RESERVED_PREFIX: &str = ".pixlserv-";

/// A relative path of `/`-separated segments: UTF-8, no empty, `.` or `..` segment, no backslash,
/// no control character, not under a reserved prefix, at most 1,024 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourcePath(String);

/// Why a text names no source image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum PathError {
    #[error("invalid image path: it is empty")]
    Empty,
    #[error(
        "invalid image path: it is longer than {MAX_PATH_BYTES} bytes, or a part of it is longer than {MAX_SEGMENT_BYTES}"
    )]
    TooLong,
    #[error("invalid image path: it is not UTF-8")]
    NotUtf8,
    #[error("invalid image path: backslashes and control characters are not allowed")]
    Character,
    #[error("invalid image path: empty parts, '.' and '..' are not allowed")]
    Segment,
    #[error("invalid image path: an encoded slash is not allowed")]
    EncodedSlash,
    #[error("invalid image path: '%' must be followed by two hexadecimal digits")]
    Encoding,
    #[error("invalid image path: names under '{}/' and such as '{RESERVED_PREFIX}...' are reserved", RESERVED[0])]
    Reserved,
}

impl SourcePath {
    /// Checks a path that is written plainly, as in a configuration.
    /// # Errors
    /// If it is no such path.
    pub fn new(text: &str) -> Result<Self, PathError> {
        if text.is_empty() {
            return Err(PathError::Empty);
        }
        if text.len() > MAX_PATH_BYTES {
            return Err(PathError::TooLong);
        }
        if text.chars().any(|c| c.is_control() || c == '\\') {
            return Err(PathError::Character);
        }
        for segment in text.split('/') {
            if matches!(segment, "" | "." | "..") {
                return Err(PathError::Segment);
            }
            if segment.len() > MAX_SEGMENT_BYTES {
                return Err(PathError::TooLong);
            }
        }
        let first = text.split('/').next().unwrap_or_default();
        if RESERVED.contains(&first) || first.starts_with(RESERVED_PREFIX) {
            return Err(PathError::Reserved);
        }
        Ok(Self(text.to_owned()))
    }

    /// Decodes `%XX` once, then checks. What an encoded percent sign hides stays text: `%252e` names a file with `%2e`
    /// in its name.
    /// # Errors
    /// If it is no such path, or an encoded slash would change its folders.
    pub fn from_url(encoded: &str) -> Result<Self, PathError> {
        // Decoding never lengthens, and three bytes encode one.
        if encoded.len() > 3 * MAX_PATH_BYTES {
            return Err(PathError::TooLong);
        }
        for (position, _) in encoded.match_indices('%') {
            let digits = encoded.as_bytes().get(position + 1..position + 3).ok_or(PathError::Encoding)?;
            if !digits.iter().all(u8::is_ascii_hexdigit) {
                return Err(PathError::Encoding);
            }
            if digits.eq_ignore_ascii_case(b"2f") {
                return Err(PathError::EncodedSlash);
            }
        }
        let decoded = percent_encoding::percent_decode_str(encoded).decode_utf8().map_err(|_| PathError::NotUtf8)?;
        Self::new(&decoded)
    }

    /// The name of the image that is made for a scale above 1: `folder/mark@2x.png` for `folder/mark.png`. `None` for 1,
    /// or if no file can be named so.
    #[must_use]
    pub fn at_scale(&self, scale: u32) -> Option<Self> {
        if scale <= 1 {
            return None;
        }
        let name = self.0.rfind('/').map_or(0, |slash| slash + 1);
        let dot = self.0[name..].rfind('.').map_or(self.0.len(), |dot| name + dot);
        let (stem, extension) = self.0.split_at(dot);
        Self::new(&format!("{stem}@{scale}x{extension}")).ok()
    }

    /// The path with `/` between its segments.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SourcePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A source and the scale that its name asks for: `folder/cat@2x.jpg` is `folder/cat.jpg` at twice the size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScaledPath {
    /// The image to transform.
    pub source: SourcePath,
    /// The number between `@` and `x`; 1 without one. Saturates at `u32::MAX`.
    pub scale: u32,
}

impl ScaledPath {
    /// Reads the path part of an image URL.
    /// # Errors
    /// As [`SourcePath::from_url`].
    pub fn from_url(encoded: &str) -> Result<Self, PathError> {
        let whole = SourcePath::from_url(encoded)?;
        match split_scale(whole.as_str()) {
            Some((plain, scale)) => Ok(Self { source: SourcePath::new(&plain)?, scale }),
            None => Ok(Self { source: whole, scale: 1 }),
        }
    }
}

/// `stem@Nx.extension` as (`stem.extension`, N); `None` for any other name.
fn split_scale(path: &str) -> Option<(String, u32)> {
    let (before, extension) = path.rsplit_once('.')?;
    let (stem, scale) = before.rsplit_once('@')?;
    let digits = scale.strip_suffix('x')?;
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let is_named = !stem.is_empty() && !stem.ends_with('/') && !extension.contains('/');
    (is_number && is_named).then(|| (format!("{stem}.{extension}"), digits.parse().unwrap_or(u32::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(encoded: &str, expected: Result<(&str, u32), PathError>) {
        let found = ScaledPath::from_url(encoded);
        assert_eq!(
            found.as_ref().map(|found| (found.source.as_str(), found.scale)),
            expected.as_ref().copied(),
            "{encoded}"
        );
    }

    #[test]
    fn names_may_have_folders_spaces_and_scales() {
        check("cat.jpg", Ok(("cat.jpg", 1)));
        check("blog/2014/cat.jpg", Ok(("blog/2014/cat.jpg", 1)));
        check("cat@2x.jpg", Ok(("cat.jpg", 2)));
        check("a@3x/cat@12x.jpg", Ok(("a@3x/cat.jpg", 12)));
        check("a%20cat%40.jpg", Ok(("a cat@.jpg", 1)));
        check("cat%402x.jpg", Ok(("cat.jpg", 2)));
        check("cat@99999999999999x.jpg", Ok(("cat.jpg", u32::MAX)));
        check("cat@0x.jpg", Ok(("cat.jpg", 0)));
        check("cat@2x", Ok(("cat@2x", 1)));
        check("@2x.jpg", Ok(("@2x.jpg", 1)));
        check("cat@x.jpg", Ok(("cat@x.jpg", 1)));
        check("a@2x.d/cat", Ok(("a@2x.d/cat", 1)));
        check("K%C3%A4tzchen.jpg", Ok(("Kätzchen.jpg", 1)));
        check("%252e%252e.jpg", Ok(("%2e%2e.jpg", 1)));
        check("cachet/cat.jpg", Ok(("cachet/cat.jpg", 1)));
    }

    #[test]
    fn images_for_a_scale_have_names_of_their_own() {
        let name = |path: &str, scale| {
            let scaled = SourcePath::new(path).unwrap().at_scale(scale);
            scaled.map(|scaled| scaled.as_str().to_owned())
        };
        assert_eq!(name("mark.png", 2).as_deref(), Some("mark@2x.png"));
        assert_eq!(name("a.b/c.d/mark.tar.png", 12).as_deref(), Some("a.b/c.d/mark.tar@12x.png"));
        assert_eq!(name("a.b/mark", 3).as_deref(), Some("a.b/mark@3x"));
        assert_eq!((name("mark.png", 1), name(&"m".repeat(254), 2)), (None, None));
    }

    #[test]
    fn nothing_leads_out_of_the_storage() {
        for escape in
            ["..", "../a", "a/..", "a/../../b", "%2e%2e/a", "%2E./a", ".%2e", ".", "./a", "/a", "a//b", "a/", "%2e"]
        {
            check(escape, Err(PathError::Segment));
        }
        check("a%2fb", Err(PathError::EncodedSlash));
        check("..%2F..%2Fetc", Err(PathError::EncodedSlash));
        check("..%5cb", Err(PathError::Character));
        check("a%00.jpg", Err(PathError::Character));
        check("a%0d%0ab", Err(PathError::Character));
        check("a%7f", Err(PathError::Character));
        check("%c0%ae%c0%ae/a", Err(PathError::NotUtf8));
        check("%ED%A0%80", Err(PathError::NotUtf8));
        check("a%2", Err(PathError::Encoding));
        check("a%zz", Err(PathError::Encoding));
        check("", Err(PathError::Empty));
        check("cache/a.jpg", Err(PathError::Reserved));
        check(".pixlserv-a", Err(PathError::Reserved));
        check(&"a".repeat(256), Err(PathError::TooLong));
        check(&"a/".repeat(600), Err(PathError::TooLong));
    }

    proptest! {
        #[test]
        fn an_accepted_path_stays_below_its_root(encoded in "([a.%2fF5cC0eE@x/\\\\]|%[0-9a-f]{2}|\\PC){0,40}") {
            if let Ok(path) = SourcePath::from_url(&encoded) {
                let text = path.as_str();
                prop_assert!(!text.starts_with('/') && !text.contains('\\') && !text.contains('\0'));
                prop_assert!(text.split('/').all(|segment| !matches!(segment, "" | "." | "..")));
            }
        }
    }
}
