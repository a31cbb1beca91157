//! The smallest colour type that holds every pixel of a picture exactly: without alpha where all is opaque, gray where
//! nothing has a colour, a palette or few bits where there are few colours.

use crate::raster::{Layout, Pixmap, Size};

/// A picture as PNG stores it, not filtered yet.
#[derive(Debug)]
pub(super) struct Reduced {
    pub(super) size: Size,
    /// 0 gray, 2 RGB, 3 palette, 4 gray with alpha, 6 RGB with alpha.
    pub(super) color_type: u8,
    pub(super) bit_depth: u8,
    /// Red, green, blue, alpha; those that are not opaque first. Empty without a palette.
    pub(super) palette: Vec<[u8; 4]>,
    pub(super) rows: Vec<u8>,
    /// Bytes per row.
    pub(super) stride: usize,
}

impl Reduced {
    /// As filters count it: at least one.
    pub(super) const fn bytes_per_pixel(&self) -> usize {
        match self.color_type {
            2 => 3,
            4 => 2,
            6 => 4,
            _ => 1,
        }
    }

    /// Whether bytes are indices or hold several pixels: nothing that a filter could predict.
    pub(super) const fn is_packed(&self) -> bool {
        self.color_type == 3 || self.bit_depth < 8
    }
}

/// # Panics
/// If the picture is CMYK.
pub(super) fn run(image: &Pixmap) -> Reduced {
    match image.layout() {
        Layout::Gray => grays(image, image.bytes().to_vec()),
        Layout::GrayAlpha => pixels::<2>(image, [0, 0, 0, 1]),
        Layout::Rgb => pixels::<3>(image, [0, 1, 2, 2]),
        Layout::Rgba => pixels::<4>(image, [0, 1, 2, 3]),
        Layout::Cmyk => unreachable!("converted to RGB while resizing"),
    }
}

/// A picture of `N` channels, of which `rgba` tells which are red, green, blue and alpha (if there is one).
fn pixels<const N: usize>(image: &Pixmap, rgba: [usize; 4]) -> Reduced {
    let has_alpha = image.layout().has_alpha();
    let all = image.bytes().as_chunks::<N>().0;
    let row = image.size().width as usize;
    let is_opaque =
        !has_alpha || all.chunks(row).all(|row| row.iter().fold(255, |all, pixel| all & pixel[N - 1]) == 255);
    let is_gray = N < 3
        || all.chunks(row).all(|row| {
            let difference = |pixel: &[u8; N]| (pixel[0] ^ pixel[1]) | (pixel[0] ^ pixel[N.min(3) - 1]);
            row.iter().fold(0, |any, pixel| any | difference(pixel)) == 0
        });
    if is_gray && is_opaque {
        return grays(image, all.iter().map(|pixel| pixel[0]).collect());
    }
    let color = |pixel: &[u8; N]| {
        let [r, g, b, a] = rgba.map(|channel| pixel[channel]);
        [r, g, b, if has_alpha { a } else { 255 }]
    };
    let stored = match (is_gray, is_opaque) {
        (true, _) => 2,
        (false, true) => 3,
        (false, false) => 4,
    };
    if let Some(reduced) = indexed(image.size(), all.iter().map(color), stored) {
        return reduced;
    }
    let bytes = match (is_gray, is_opaque) {
        (true, _) => all.iter().flat_map(|pixel| [pixel[0], pixel[N - 1]]).collect(),
        // Four channels; the remainder is for the compiler, which sees two, too.
        (false, true) if has_alpha => all.iter().flat_map(|pixel| [pixel[0], pixel[1], pixel[2 % N]]).collect(),
        _ => image.bytes().to_vec(),
    };
    let color_type = [4, 2, 6][stored - 2];
    Reduced { size: image.size(), color_type, bit_depth: 8, palette: Vec::new(), rows: bytes, stride: row * stored }
}

/// Gray without alpha.
fn grays(image: &Pixmap, bytes: Vec<u8>) -> Reduced {
    let size = image.size();
    let width = size.width as usize;
    let whole = |rows| Reduced { size, color_type: 0, bit_depth: 8, palette: Vec::new(), rows, stride: width };
    // Values that fewer bits hold are multiples of 17, 85 or 255.
    let bits = [(1u8, 255u8), (2, 85), (4, 17)].into_iter().find(|(_, step)| bytes.iter().all(|byte| byte % step == 0));
    let colors = bytes.iter().map(|&gray| [gray, gray, gray, 255]);
    match bits {
        Some((bit_depth, step)) => {
            let rows = packed(width, bit_depth, bytes.iter().map(|&gray| gray / step));
            let stride = stride(width, bit_depth);
            Reduced { size, color_type: 0, bit_depth, palette: Vec::new(), rows, stride }
        }
        None => indexed(size, colors, 1).unwrap_or_else(|| whole(bytes)),
    }
}

/// A picture with a palette, if there are few enough colours for that to be smaller than `n_channels` bytes a pixel.
fn indexed(size: Size, colors: impl Iterator<Item = [u8; 4]> + Clone, n_channels: usize) -> Option<Reduced> {
    // Bytes of gray are as good as indices of 8 bits.
    let most = if n_channels == 1 { 16 } else { 256 };
    let n_pixels = size.pixels() as usize;
    let mut found = Colors::new();
    let mut last = None;
    for color in colors.clone() {
        if last != Some(color) {
            found.index(color);
            if found.list.len() > most {
                return None;
            }
            last = Some(color);
        }
    }
    let n_colors = found.list.len();
    let bit_depth = match n_colors {
        0..=2 => 1,
        3..=4 => 2,
        5..=16 => 4,
        _ => 8,
    };
    let width = size.width as usize;
    let stride = stride(width, bit_depth);
    // A palette is not compressed, and takes two chunks: it has to save some of what compresses well.
    if stride * size.height as usize + n_colors * 12 + 24 > n_pixels * n_channels {
        return None;
    }
    // Transparent colours first, so that the list of alphas is short.
    let mut order: Vec<u16> = (0..n_colors as u16).collect();
    order.sort_by_key(|&index| found.list[usize::from(index)][3] == 255);
    let mut places = [0u8; 256];
    order.iter().enumerate().for_each(|(place, &index)| places[usize::from(index)] = place as u8);
    let palette = order.iter().map(|&index| found.list[usize::from(index)]).collect();
    let mut last = None;
    let indices = colors.map(|color| match last {
        Some((same, place)) if same == color => place,
        _ => {
            let place = places[usize::from(found.index(color))];
            last = Some((color, place));
            place
        }
    });
    let rows = packed(width, bit_depth, indices);
    Some(Reduced { size, color_type: 3, bit_depth, palette, rows, stride })
}

/// Colours and their numbers, in the order in which they came.
struct Colors {
    list: Vec<[u8; 4]>,
    /// Numbers plus one, by hash; four times as many as there may be.
    slots: [u16; 1024],
}

impl Colors {
    fn new() -> Self {
        Self { list: Vec::with_capacity(257), slots: [0; 1024] }
    }

    /// The number of a colour; a new one if it is new.
    fn index(&mut self, color: [u8; 4]) -> u16 {
        let mut slot = (u32::from_le_bytes(color).wrapping_mul(0x9E37_79B1) >> 22) as usize;
        loop {
            match self.slots[slot] {
                0 => {
                    self.list.push(color);
                    self.slots[slot] = self.list.len() as u16;
                    return self.list.len() as u16 - 1;
                }
                number if self.list[usize::from(number) - 1] == color => return number - 1,
                _ => slot = (slot + 1) % self.slots.len(),
            }
        }
    }
}

const fn stride(width: usize, bit_depth: u8) -> usize {
    (width * bit_depth as usize).div_ceil(8)
}

/// Several values in a byte, the first in the highest bits; rows begin with a byte.
fn packed(width: usize, bit_depth: u8, values: impl Iterator<Item = u8>) -> Vec<u8> {
    let values: Vec<u8> = values.collect();
    if bit_depth == 8 {
        return values;
    }
    let per_byte = 8 / usize::from(bit_depth);
    let byte = |values: &[u8]| {
        let bits = values.iter().fold(0, |byte, value| byte << bit_depth | value);
        bits << (usize::from(bit_depth) * (per_byte - values.len()))
    };
    values.chunks_exact(width).flat_map(|row| row.chunks(per_byte).map(byte)).collect()
}
