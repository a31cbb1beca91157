//! Fonts of text overlays: a file that was understood. What is drawn with them is made in `pipeline`.

use std::fmt;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ring::digest::{SHA256, digest};

/// A TrueType or OpenType font, the first one of a collection.
pub struct Font {
    path: PathBuf,
    file: Arc<Vec<u8>>,
    /// SHA-256 of the file: another font under the same name draws other answers.
    digest: [u8; 32],
    shapes: harfrust::Font,
    bounds: Bounds,
}

/// How far the glyphs of a font reach above and below the baseline, in units of the em square; up is positive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Above.
    pub top: i32,
    /// Below, where it is negative.
    pub bottom: i32,
    /// Units per em square; at least 1.
    pub units_per_em: u16,
}

/// The Go server came with an older DejaVu Sans. Since its release 2.35 a few rare glyphs reach higher and lower, and so
/// does the box of the font, by a tenth of the size. Texts in it stay where they were: these numbers fit the 27 texts
/// of that server's recorded answers within a pixel, the newer box is up to 5 pixels off.
const DEJAVU_SANS: Bounds = Bounds { top: 2524, bottom: -948, units_per_em: 2048 };
const DEJAVU_SANS_OF_THE_GO_SERVER: Bounds = Bounds { top: 2329, bottom: -863, ..DEJAVU_SANS };

impl Font {
    /// Understands a font file.
    /// # Errors
    /// If it is none, or one of a kind that is not read (bitmaps alone, WOFF), with the reason.
    pub fn parse(path: &Path, file: Vec<u8>) -> Result<Self, String> {
        let file = Arc::new(file);
        let shared: Arc<dyn AsRef<[u8]> + Send + Sync> = Arc::<Vec<u8>>::clone(&file);
        let shapes = harfrust::Font::new(shared, 0).ok_or("it is neither TrueType nor OpenType")?;
        if lists_too_much(&file) {
            return Err("it is damaged: it lists more characters than there are".to_owned());
        }
        // The same file is read by a second library when text is drawn: what it cannot read must be known now.
        let drawn = catch_unwind(|| fontdue::Font::from_bytes(&file[..], fontdue::FontSettings::default()).map(drop));
        drawn.map_err(|_| "it is damaged".to_owned())??;
        let bounds = bounds(&shapes)?;
        let digest = digest(&SHA256, &file).as_ref().try_into().expect("SHA-256 has 32 bytes");
        Ok(Self { path: path.to_owned(), file, digest, shapes, bounds })
    }

    /// Where it was found.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file.
    #[must_use]
    pub fn file(&self) -> &[u8] {
        &self.file
    }

    /// Tells it from all others.
    #[must_use]
    pub const fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// For the shaper.
    #[must_use]
    pub const fn shapes(&self) -> &harfrust::Font {
        &self.shapes
    }

    /// The box that lines of text are placed by.
    #[must_use]
    pub const fn bounds(&self) -> Bounds {
        self.bounds
    }
}

/// Characters that the maps of a font may list together: Unicode has 1,114,112, and a font has a few maps.
const MAX_LISTED: u64 = 8 << 20;

/// Whether the character maps list more than that in ranges of 32 bits (OpenType 1.9, cmap formats 12 and 13). fontdue
/// visits every character of a range: one wrong bit in DejaVu Sans took it 60 s (4,294,967,296 characters).
fn lists_too_much(file: &[u8]) -> bool {
    let bytes =
        |at: u64, count: u64| file.get(usize::try_from(at).ok()?..usize::try_from(at.checked_add(count)?).ok()?);
    let short = |at| Some(u64::from(u16::from_be_bytes(bytes(at, 2)?.try_into().ok()?)));
    let long = |at| Some(u64::from(u32::from_be_bytes(bytes(at, 4)?.try_into().ok()?)));
    let start = if file.starts_with(b"ttcf") { long(12).unwrap_or(0) } else { 0 };
    let records = (0..short(start + 4).unwrap_or(0)).map(|index| start + 12 + 16 * index);
    let maps = records.filter(|&at| bytes(at, 4) == Some(b"cmap")).filter_map(|at| long(at + 8));
    let subtables = maps.flat_map(|map| {
        let n_subtables = short(map + 2).unwrap_or(0);
        (0..n_subtables).filter_map(move |index| Some(map + long(map + 8 + 8 * index)?))
    });
    let wide = subtables.filter(|&at| matches!(short(at), Some(12 | 13)));
    let groups = wide.flat_map(|at| {
        (0..long(at + 12).unwrap_or(0)).map_while(move |index| {
            let group = at + 16 + 12 * index;
            Some((long(group)?, long(group + 4)?))
        })
    });
    let mut n_listed = 0;
    groups.into_iter().any(|(first, last)| {
        n_listed += (last + 1).saturating_sub(first).max(1);
        n_listed > MAX_LISTED
    })
}

fn bounds(font: &harfrust::Font) -> Result<Bounds, String> {
    let metrics = font.metrics();
    let [left, right, bottom, top] =
        [metrics.bounds.x_min, metrics.bounds.x_max, metrics.bounds.y_min, metrics.bounds.y_max]
            .map(|edge| edge.to_f64().round() as i32);
    let found = Bounds { top, bottom, units_per_em: metrics.units_per_em };
    if found.units_per_em == 0 || found.top <= found.bottom {
        return Err("its header has no sizes".to_owned());
    }
    let is_dejavu_sans = found == DEJAVU_SANS && (left, right) == (-2090, 3673);
    Ok(if is_dejavu_sans { DEJAVU_SANS_OF_THE_GO_SERVER } else { found })
}

impl PartialEq for Font {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

/// Part of the names of answers: what is drawn depends on the content of the file alone.
impl fmt::Debug for Font {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Font(")?;
        self.digest.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_a_billion_characters_is_refused_at_once() {
        let path = Path::new("fonts/DejaVuSans.ttf");
        let mut file = include_bytes!("../../fonts/DejaVuSans.ttf").to_vec();
        assert!(!lists_too_much(&file));
        // The last character of a group of the first map of 32 bits.
        file[53_190] ^= 0x40;
        assert!(Font::parse(path, file).unwrap_err().contains("more characters than there are"));
    }
}
