//! Room 4: from what was asked and what the header says to exact numbers. Pure integer geometry, no pixels.

mod eighths;
mod framing;
mod marking;
mod placement;

pub use eighths::Eighths;
pub use framing::{Framing, frame};
pub use marking::MarkPlan;
pub use placement::{Placement, place, visible};

use crate::raster::{Format, Header, Orientation, Rect, Size};
use crate::transform::{Filter, TransformError, Transformation};

/// JPEG quality: 1 (smallest file) to 100 (best).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JpegQuality(u8);

impl JpegQuality {
    /// The number.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl Default for JpegQuality {
    fn default() -> Self {
        Self(75)
    }
}

impl TryFrom<i64> for JpegQuality {
    type Error = String;
    fn try_from(value: i64) -> Result<Self, String> {
        match u8::try_from(value) {
            Ok(quality @ 1..=100) => Ok(Self(quality)),
            _ => Err(format!("must be 1 to 100, got {value}")),
        }
    }
}

/// How JPEG answers are encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Jpeg {
    /// How much is kept.
    pub quality: JpegQuality,
    /// Whether the whole picture comes first, coarse, and details later: smaller, but more work for both sides.
    pub progressive: bool,
}

/// Everything the pipeline has to know; it decides nothing itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Region of the stored picture that is shown.
    pub crop: Rect,
    /// Size to bring the region to, in stored orientation; `None` keeps its pixels as they are.
    pub resize: Option<Size>,
    /// The scale that the source is decoded at, where its format allows that.
    pub eighths: Eighths,
    /// How the result is turned for display.
    pub orientation: Orientation,
    /// Whether the picture is made gray.
    pub grayscale: bool,
    /// Where the transformation's stamps are drawn, one each: watermarks, then texts.
    pub stamps: Vec<Placement>,
    /// Format and quality of the answer.
    pub encode: Encode,
}

/// How an answer is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encode {
    /// The source's format.
    pub format: Format,
    /// Used for JPEG.
    pub quality: JpegQuality,
    /// Used for JPEG.
    pub progressive: bool,
}

impl Plan {
    /// Plans one answer.
    /// # Errors
    /// If a side of the answer is above `max_output_side`.
    pub fn new(
        transformation: &Transformation,
        scale: u32,
        header: &Header,
        jpeg: Jpeg,
        max_output_side: u32,
    ) -> Result<Self, TransformError> {
        let displayed = header.displayed();
        let framing = frame(&transformation.params, scale, displayed);
        for (side, pixels) in [("width", framing.output.width), ("height", framing.output.height)] {
            if pixels > max_output_side {
                return Err(TransformError::OutputTooLarge { side, pixels: u64::from(pixels), max: max_output_side });
            }
        }
        let orientation = header.orientation;
        let watermarks = transformation.watermarks.iter().map(|mark| (&mark.anchor, mark.is_tiled));
        let texts = transformation.texts.iter().map(|text| (&text.anchor, false));
        let placed = watermarks.chain(texts).map(|(anchor, is_tiled)| Placement::new(anchor, scale, is_tiled));
        let resize = (framing.output != framing.crop.size).then(|| orientation.stored_size(framing.output));
        let crop = orientation.stored_region(framing.crop, displayed);
        Ok(Self {
            crop,
            resize,
            eighths: Eighths::of(header.format, crop.size, resize, jpeg.quality),
            orientation,
            grayscale: transformation.params.filter == Some(Filter::Grayscale),
            stamps: placed.collect(),
            encode: Encode { format: header.format, quality: jpeg.quality, progressive: jpeg.progressive },
        })
    }

    /// What the answer takes in memory while it is made, in bytes, at most: its pixels, a copy that is turned, made gray
    /// or given the channels of its stamps, and the encoder's working memory. The stamps are counted by who makes them.
    #[must_use]
    pub fn output_bytes(&self) -> u64 {
        let is_changed = [!self.orientation.is_normal(), self.grayscale, !self.stamps.is_empty()];
        let copies = 1 + is_changed.into_iter().map(u64::from).sum::<u64>();
        let encoder = match self.encode.format {
            // Four bytes for what is to be written, and as many for the file, of which both take that much only near
            // quality 100; the coefficients of a progressive one with their masks, without chroma subsampling.
            Format::Jpeg if self.encode.progressive => 16,
            Format::Jpeg => 8,
            // The file.
            Format::Png => 6,
        };
        // Four channels.
        self.output().pixels() * (4 * copies + encoder)
    }

    /// Width and height of the answer.
    #[must_use]
    pub fn output(&self) -> Size {
        let stored = self.resize.unwrap_or(self.crop.size);
        if self.orientation.swaps_sides() { stored.transposed() } else { stored }
    }
}
