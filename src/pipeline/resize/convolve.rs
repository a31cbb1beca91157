//! The two passes of a separable Lanczos-3 filter over 16-bit samples, by fast_image_resize.

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::{U16, U16x2, U16x3, U16x4};
use fast_image_resize::{FilterType, PixelTrait, ResizeAlg, ResizeOptions, Resizer};

/// A part of an axis in source pixels; need not begin or end between two of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) start: f64,
    pub(super) length: f64,
}

/// Resizes buffers of a fixed number of 16-bit channels, and keeps its scratch memory between calls.
pub(super) struct Convolver {
    resizer: Resizer,
    channels: usize,
}

impl Convolver {
    /// For 1 to 4 channels.
    pub(super) fn new(channels: usize) -> Self {
        Self { resizer: Resizer::new(), channels }
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

    fn convolve(&mut self, rows: &[u16], width: u32, to: (u32, u32), span: Span) -> Vec<u16> {
        // One type each: the untyped entry would compile the filter for all thirteen pixel types of the library.
        match self.channels {
            1 => self.convolve_typed::<U16>(rows, width, to, span),
            2 => self.convolve_typed::<U16x2>(rows, width, to, span),
            3 => self.convolve_typed::<U16x3>(rows, width, to, span),
            _ => self.convolve_typed::<U16x4>(rows, width, to, span),
        }
    }

    fn convolve_typed<P: PixelTrait>(
        &mut self,
        rows: &[u16],
        width: u32,
        (to_width, to_height): (u32, u32),
        span: Span,
    ) -> Vec<u16> {
        let height = self.height(rows, width);
        let source = TypedImageRef::<P>::from_buffer(width, height, bytemuck::cast_slice(rows))
            .expect("the buffer holds whole rows");
        let mut resized = vec![0u16; to_width as usize * to_height as usize * self.channels];
        let mut target = TypedImage::<P>::from_buffer(to_width, to_height, bytemuck::cast_slice_mut(&mut resized))
            .expect("the buffer was made for these rows");
        // Rounding may put the end of the last span a hair outside of the buffer.
        let length = span.length.min(f64::from(height) - span.start);
        let options = ResizeOptions::new()
            .resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3))
            .crop(0.0, span.start, f64::from(width), length)
            .use_alpha(false);
        self.resizer.resize_typed(&source, &mut target, &options).expect("the span lies in the buffer");
        resized
    }
}
