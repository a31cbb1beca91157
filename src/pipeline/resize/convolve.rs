//! The two passes of a separable Lanczos-3 filter over 16-bit samples, by fast_image_resize.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

/// A part of an axis in source pixels; need not begin or end between two of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) start: f64,
    pub(super) length: f64,
}

/// Resizes buffers of a fixed number of 16-bit channels, and keeps its scratch memory between calls.
pub(super) struct Convolver {
    resizer: Resizer,
    pixel_type: PixelType,
    channels: usize,
}

impl Convolver {
    /// # Panics
    /// If `channels` is not 1 to 4.
    pub(super) fn new(channels: usize) -> Self {
        let pixel_type = match channels {
            1 => PixelType::U16,
            2 => PixelType::U16x2,
            3 => PixelType::U16x3,
            4 => PixelType::U16x4,
            _ => panic!("{channels} channels"),
        };
        Self { resizer: Resizer::new(), pixel_type, channels }
    }

    pub(super) const fn channels(&self) -> usize {
        self.channels
    }

    /// Rows of `from` pixels as rows of `to` pixels.
    pub(super) fn horizontally(&mut self, rows: &[u16], from: u32, to: u32) -> Vec<u16> {
        let height = self.height(rows, from);
        let span = Span { start: 0.0, length: f64::from(height) };
        self.convolve(rows, from, (to, height), span)
    }

    /// `to` rows that show the rows of `span`. What lies around the span is read where the filter reaches it.
    pub(super) fn vertically(&mut self, rows: &[u16], width: u32, span: Span, to: u32) -> Vec<u16> {
        self.convolve(rows, width, (width, to), span)
    }

    fn height(&self, rows: &[u16], width: u32) -> u32 {
        (rows.len() / (width as usize * self.channels)) as u32
    }

    fn convolve(&mut self, rows: &[u16], width: u32, (to_width, to_height): (u32, u32), span: Span) -> Vec<u16> {
        let height = self.height(rows, width);
        let source = ImageRef::new(width, height, bytemuck::cast_slice(rows), self.pixel_type)
            .expect("the buffer holds whole rows");
        let mut resized = vec![0u16; to_width as usize * to_height as usize * self.channels];
        let mut target =
            Image::from_slice_u8(to_width, to_height, bytemuck::cast_slice_mut(&mut resized), self.pixel_type)
                .expect("the buffer was made for these rows");
        // Rounding may put the end of the last span a hair outside of the buffer.
        let length = span.length.min(f64::from(height) - span.start);
        let options = ResizeOptions::new()
            .resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3))
            .crop(0.0, span.start, f64::from(width), length)
            .use_alpha(false);
        self.resizer
            .resize(&source, &mut target, &options)
            .expect("both have one pixel type, and the span lies in the buffer");
        resized
    }
}
