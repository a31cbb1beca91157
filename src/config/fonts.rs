//! Fonts of text overlays: found and understood before the server starts.

use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

/// The font that comes with pixlserv.
pub(super) const DEFAULT: &str = "fonts/DejaVuSans.ttf";

/// The largest font file that is read; the largest CJK collections have about 30 MB.
const MAX_FONT_BYTES: u64 = 64 << 20;

/// Finds a font as written, that is relative to the working directory, or else beside the configuration or one
/// folder above it, and checks that it can be used.
/// # Errors
/// If it is in none of these places, or is no font.
pub(super) fn find(written: &Path, folder: &Path) -> Result<PathBuf, String> {
    let places = [written.to_path_buf(), folder.join(written), folder.join("..").join(written)];
    let path = places.iter().find(|place| place.is_file());
    let path = path.ok_or_else(|| format!("there is no font file {}", written.display()))?;
    let unreadable = |error| format!("cannot read the font {}: {error}", path.display());
    if std::fs::metadata(path).map_err(unreadable)?.len() > MAX_FONT_BYTES {
        return Err(format!("the font {} is larger than {MAX_FONT_BYTES} bytes", path.display()));
    }
    let bytes = std::fs::read(path).map_err(unreadable)?;
    let parsed = catch_unwind(|| fontdue::Font::from_bytes(bytes, fontdue::FontSettings::default()).map(drop));
    match parsed {
        Ok(Ok(())) => Ok(path.clone()),
        Ok(Err(reason)) => Err(format!("{} is no font that can be used: {reason}", path.display())),
        Err(_) => Err(format!("{} is no font that can be used", path.display())),
    }
}
