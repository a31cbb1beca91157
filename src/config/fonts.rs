//! Fonts of text overlays: found and understood before the server starts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::transform::Font;

/// The font that comes with pixlserv.
const DEFAULT: &str = "fonts/DejaVuSans.ttf";

const NO_DEFAULT: &str = "there is no fonts/DejaVuSans.ttf, the font of texts that name none: neither in the working \
    directory, nor beside the configuration or one folder above it, nor installed with the program";

/// The largest font file that is read; the largest CJK collections have about 30 MB.
const MAX_FONT_BYTES: u64 = 64 << 20;

/// The fonts of one configuration, each read once: DejaVu Sans takes 30 ms to be understood, a CJK font 300 ms.
pub(super) struct Fonts<'a> {
    /// Where the configuration lies.
    folder: &'a Path,
    loaded: BTreeMap<PathBuf, Arc<Font>>,
}

impl<'a> Fonts<'a> {
    pub(super) fn beside(folder: &'a Path) -> Self {
        Self { folder, loaded: BTreeMap::new() }
    }

    /// The font that was written, or the default one where none was.
    /// # Errors
    /// If it is in none of the places, or is no font.
    pub(super) fn load(&mut self, written: Option<&Path>) -> Result<Arc<Font>, String> {
        let path = match written {
            Some(written) => {
                self.find(written).ok_or_else(|| format!("there is no font file {}", written.display()))?
            }
            None => self.find(Path::new(DEFAULT)).ok_or(NO_DEFAULT)?,
        };
        let file = path.canonicalize().map_err(|error| format!("cannot read the font {}: {error}", path.display()))?;
        if let Some(font) = self.loaded.get(&file) {
            return Ok(Arc::clone(font));
        }
        let font = Arc::new(read(&path)?);
        self.loaded.insert(file, Arc::clone(&font));
        Ok(font)
    }

    /// Looks for a font as written, that is relative to the working directory, or else beside the configuration or
    /// one folder above it, or else where it is installed.
    fn find(&self, written: &Path) -> Option<PathBuf> {
        let places = [written.to_path_buf(), self.folder.join(written), self.folder.join("..").join(written)];
        let installed = installed().map(|folder| folder.join(written));
        places.into_iter().chain(installed).find(|place| place.is_file())
    }
}

/// The folder of what is installed with the program: `/usr/share/pixlserv` of `/usr/bin/pixlserv`.
fn installed() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    Some(program.parent()?.parent()?.join("share/pixlserv"))
}

fn read(path: &Path) -> Result<Font, String> {
    let unreadable = |error| format!("cannot read the font {}: {error}", path.display());
    if std::fs::metadata(path).map_err(unreadable)?.len() > MAX_FONT_BYTES {
        return Err(format!("the font {} is larger than {MAX_FONT_BYTES} bytes", path.display()));
    }
    let file = std::fs::read(path).map_err(unreadable)?;
    Font::parse(path, file).map_err(|reason| format!("{} is no font that can be used: {reason}", path.display()))
}
