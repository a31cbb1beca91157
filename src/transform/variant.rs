//! The identity of an answer: everything that decides its bytes.

use std::fmt;

use ring::digest::{SHA256, digest};

use super::{SourcePath, Transformation};

/// One version of a stored source: when one of the numbers changes, the source may have changed.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SourceVersion {
    /// Size of the file in bytes.
    pub size_bytes: u64,
    /// Time of the last change in nanoseconds since 1970; 0 where the tag tells.
    pub modified_ns: i128,
    /// Part of a hash of the entity tag that an object storage has given it; 0 for a file.
    pub tag: u128,
}

/// Raised whenever the same request would give other bytes than before.
const ALGORITHM: u32 = 3;

/// Part of the names of answers, so one without a tag is written as if there were none.
impl fmt::Debug for SourceVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = f.debug_struct("SourceVersion");
        fields.field("size_bytes", &self.size_bytes).field("modified_ns", &self.modified_ns);
        if self.tag != 0 {
            fields.field("tag", &self.tag);
        }
        fields.finish()
    }
}

/// What all current answers of one state of a source have in common, and those of others do not.
impl fmt::Display for SourceVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{ALGORITHM}-{}-{}", self.size_bytes, self.modified_ns)?;
        if self.tag == 0 { Ok(()) } else { write!(f, "-{:032x}", self.tag) }
    }
}

/// A source, its version, and what is done with it.
#[derive(Clone, Debug)]
pub struct Variant<'a> {
    /// The image that is transformed.
    pub source: &'a SourcePath,
    /// Which state of it.
    pub version: SourceVersion,
    /// What is done; `None` for the original.
    pub transformation: Option<(&'a Transformation, u32)>,
    /// The watermarks of the transformation, and their states.
    pub watermarks: Vec<(&'a SourcePath, SourceVersion)>,
    /// Quality of JPEG answers.
    pub jpeg_quality: u8,
    /// Whether they are progressive.
    pub jpeg_progressive: bool,
}

impl Variant<'_> {
    /// A text that differs whenever the answer may differ: no two variants share it.
    #[must_use]
    pub fn key(&self) -> String {
        // Debug output quotes and escapes every text, so that fields cannot run into each other.
        let SourceVersion { size_bytes, modified_ns, tag } = self.version;
        let tag = if tag == 0 { String::new() } else { format!("{tag:032x} ") };
        format!(
            "pixlserv {ALGORITHM} {:?} {size_bytes} {modified_ns} {tag}{:?} {:?} q{}{}",
            self.source.as_str(),
            self.transformation,
            self.watermarks,
            self.jpeg_quality,
            if self.jpeg_progressive { " progressive" } else { "" }
        )
    }

    /// The name of the answer: the SHA-256 of its key.
    #[must_use]
    pub fn id(&self) -> VariantId {
        let hash = digest(&SHA256, self.key().as_bytes());
        VariantId(hash.as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }
}

/// Names one answer among all: two that may differ in a byte have different names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VariantId(pub [u8; 32]);

impl VariantId {
    /// Enough of the name for an entity tag: 32 lowercase hexadecimal digits.
    #[must_use]
    pub fn tag(&self) -> String {
        hex(&self.0[..16])
    }
}

/// 64 lowercase hexadecimal digits.
impl fmt::Display for VariantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| DIGITS[usize::from(digit)]).collect()
}
