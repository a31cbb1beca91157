//! The shape of the YAML file: every key that may be written, each value as valid as it can be on its own.

use std::path::PathBuf;

use serde::Deserialize;

use super::list::{Mapping, Mappings, OneOrMore};
use super::log::{LogFormat, LogLevel};
use super::memory::MemoryBytes;
use super::network::{ListenAddress, Loop, Origin, UrlFolder};
use super::number::{Decimal, Number, Offset, Whole};
use super::value::{Boolean, Word, given};
use crate::access::AddressRange;
use crate::plan::JpegQuality;
use crate::store::cache::Strategy;
use crate::transform::{
    Align, Color, Content, Gravity, MaxScale, Opacity, Params, SourcePath, StrokeWidth, TextSize, TransformationName,
};

/// A day and a year in seconds, as bounds that nobody should need to exceed.
const DAY_S: i64 = 86_400;
const YEAR_S: i64 = 366 * DAY_S;

/// More on one picture is a mistake; each costs time for every answer.
const MAX_WATERMARKS: usize = 16;
pub(super) const MAX_TEXTS: usize = 64;

/// The whole file. What is not written is `None`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, expecting = "a mapping of settings")]
pub(super) struct ConfigFile {
    pub(super) allow_custom_transformations: Option<Flag>,
    pub(super) allow_custom_scale: Option<Flag>,
    pub(super) allow_originals: Option<Flag>,
    pub(super) async_uploads: Option<Flag>,
    pub(super) jpeg_quality: Option<Whole<JpegQuality>>,
    pub(super) jpeg_progressive: Option<Flag>,
    pub(super) throttling_rate: Option<Number<u32, 0, 1_000_000>>,
    pub(super) upload_max_file_size: Option<Number<u64, 1, { 1 << 30 }>>,
    pub(super) upload_max_pixels: Option<Number<u64, 1, 1_000_000_000>>,
    pub(super) require_file_signature: Option<Flag>,
    pub(super) max_output_side: Option<Number<u32, 1, 65_535>>,
    pub(super) max_scale: Option<Whole<MaxScale>>,
    pub(super) max_source_pixels: Option<Number<u64, 1, 1_000_000_000>>,
    pub(super) max_age: Option<Number<u32, 0, YEAR_S>>,
    pub(super) local_path: Option<Word<PathBuf>>,
    pub(super) data_path: Option<Word<PathBuf>>,
    pub(super) storage_timeout: Option<Number<u32, 1, 60>>,
    pub(super) io_threads: Option<Number<u32, 0, 1024>>,
    pub(super) pixel_threads: Option<Number<u32, 0, 1024>>,
    pub(super) work_memory: Option<Number<u64, { 16 << 20 }, { 1 << 50 }>>,
    pub(super) memory_limit: Option<Whole<MemoryBytes>>,
    pub(super) metrics_listen: Option<OneOrMore<ListenAddress>>,
    pub(super) debug_headers: Option<Flag>,
    pub(super) log: Option<LogSection>,
    pub(super) listen: Option<OneOrMore<ListenAddress>>,
    pub(super) trusted_proxies: Option<OneOrMore<AddressRange>>,
    pub(super) cors_allow_origins: Option<OneOrMore<Origin>>,
    pub(super) authorisation: Option<AuthorisationSection>,
    pub(super) cache: Option<CacheSection>,
    pub(super) http: Option<HttpSection>,
    pub(super) transformations: Option<Vec<TransformationSection>>,
}

/// A boolean in any spelling of YAML 1.1.
pub(super) type Flag = Word<Boolean>;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, expecting = "a mapping of get and upload")]
pub(super) struct AuthorisationSection {
    pub(super) get: Option<Flag>,
    pub(super) upload: Option<Flag>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, expecting = "a mapping of format and level")]
pub(super) struct LogSection {
    pub(super) format: Option<Word<LogFormat>>,
    pub(super) level: Option<Word<LogLevel>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, expecting = "a mapping of cache settings")]
pub(super) struct CacheSection {
    pub(super) enabled: Option<Flag>,
    pub(super) limit: Option<Number<u64, 0, { i64::MAX }>>,
    pub(super) strategy: Option<Word<Strategy>>,
    pub(super) memory: Option<Number<u64, 0, { 1 << 40 }>>,
    pub(super) source_limit: Option<Number<u64, 0, { 1 << 50 }>>,
    pub(super) max_unwritten: Option<Number<u64, { 1 << 20 }, { 1 << 40 }>>,
    pub(super) revalidate: Option<Number<u32, 0, DAY_S>>,
    pub(super) fsync: Option<Flag>,
    pub(super) x_accel_redirect: Option<Word<UrlFolder>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, expecting = "a mapping of http settings")]
pub(super) struct HttpSection {
    pub(super) max_connections: Option<Number<u32, 1, 100_000>>,
    pub(super) max_connections_per_address: Option<Number<u32, 0, 100_000>>,
    pub(super) max_requests: Option<Number<u32, 1, 100_000>>,
    pub(super) max_queue: Option<Number<u32, 1, 100_000>>,
    pub(super) queue_timeout: Option<Number<u32, 1, 3600>>,
    pub(super) request_timeout: Option<Number<u32, 1, 3600>>,
    pub(super) head_timeout: Option<Number<u32, 1, 3600>>,
    pub(super) idle_timeout: Option<Number<u32, 1, 3600>>,
    pub(super) write_timeout: Option<Number<u32, 1, 3600>>,
    pub(super) min_write_rate: Option<Number<u64, 0, { 1 << 30 }>>,
    pub(super) read_timeout: Option<Number<u32, 1, 3600>>,
    pub(super) min_read_rate: Option<Number<u64, 0, { 1 << 30 }>>,
    pub(super) body_timeout: Option<Number<u32, 1, { DAY_S }>>,
    pub(super) max_uploads: Option<Number<u32, 1, 100_000>>,
    pub(super) max_unsent: Option<Number<u64, { 1 << 20 }, { 1 << 50 }>>,
    pub(super) drain_timeout: Option<Number<u32, 0, 3600>>,
    pub(super) max_head_size: Option<Number<u32, 1024, { 1 << 20 }>>,
    pub(super) max_header_line: Option<Number<u32, 256, { 1 << 20 }>>,
    pub(super) max_headers: Option<Number<u32, 8, 1024>>,
    pub(super) max_url_length: Option<Number<u32, 256, 65_536>>,
    pub(super) max_skip_size: Option<Number<u64, 0, { 1 << 30 }>>,
    pub(super) skip_timeout: Option<Number<u32, 0, 3600>>,
    pub(super) max_linger_size: Option<Number<u64, 0, { 1 << 30 }>>,
    pub(super) linger_timeout: Option<Number<u32, 0, 3600>>,
    pub(super) eviction_age: Option<Number<u32, 0, 3600>>,
    pub(super) access_log: Option<Flag>,
    pub(super) r#loop: Option<Word<Loop>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, expecting = "a mapping with name and parameters")]
pub(super) struct TransformationSection {
    pub(super) name: Word<TransformationName>,
    pub(super) parameters: Word<Params>,
    pub(super) eager: Option<Flag>,
    pub(super) watermark: Option<Mappings<WatermarkSection, MAX_WATERMARKS>>,
    pub(super) text: Option<Mappings<TextSection, MAX_TEXTS>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, expecting = "a mapping with source and gravity")]
pub(super) struct WatermarkSection {
    pub(super) source: Word<SourcePath>,
    pub(super) gravity: Word<Gravity>,
    pub(super) x_pos: Option<Whole<Offset>>,
    pub(super) y_pos: Option<Whole<Offset>>,
    pub(super) opacity: Option<Whole<Opacity>>,
    pub(super) scale: Option<Decimal>,
    pub(super) tile: Option<Flag>,
}

/// An unquoted `#fff` is a comment, which leaves nothing: it must not mean the default of a colour, nor no stroke.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, expecting = "a mapping with content and gravity")]
pub(super) struct TextSection {
    pub(super) content: Word<Content>,
    pub(super) gravity: Word<Gravity>,
    pub(super) x_pos: Option<Whole<Offset>>,
    pub(super) y_pos: Option<Whole<Offset>>,
    #[serde(default, deserialize_with = "given")]
    pub(super) color: Option<Word<Color>>,
    pub(super) font: Option<Word<PathBuf>>,
    pub(super) size: Option<Whole<TextSize>>,
    pub(super) align: Option<Word<Align>>,
    #[serde(default, deserialize_with = "given")]
    pub(super) background: Option<Word<Color>>,
    pub(super) padding: Option<Number<u32, 0, 1000>>,
    #[serde(default, deserialize_with = "given")]
    pub(super) stroke: Option<Mapping<StrokeSection>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct StrokeSection {
    #[serde(default, deserialize_with = "given")]
    pub(super) color: Option<Word<Color>>,
    pub(super) width: Option<Whole<StrokeWidth>>,
}
