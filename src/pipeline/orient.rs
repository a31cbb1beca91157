//! Turns a picture for display.

use crate::raster::{Orientation, Pixmap};

/// Applies an orientation; the normal one costs nothing.
pub(super) fn run(image: Pixmap, orientation: Orientation) -> Pixmap {
    if orientation.is_normal() {
        return image;
    }
    match image.layout().channels() {
        1 => turn::<1>(&image, orientation),
        2 => turn::<2>(&image, orientation),
        3 => turn::<3>(&image, orientation),
        _ => turn::<4>(&image, orientation),
    }
}

fn turn<const CHANNELS: usize>(image: &Pixmap, orientation: Orientation) -> Pixmap {
    let stored = image.size();
    let displayed = if orientation.swaps_sides() { stored.transposed() } else { stored };
    let (pixels, _) = image.bytes().as_chunks::<CHANNELS>();
    let mut turned = Vec::with_capacity(image.bytes().len());
    for y in 0..displayed.height {
        for x in 0..displayed.width {
            let (column, row) = orientation.stored_pixel(x, y, displayed);
            turned.extend_from_slice(&pixels[row as usize * stored.width as usize + column as usize]);
        }
    }
    Pixmap::new(displayed, image.layout(), turned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raster::{Layout, Size};

    #[test]
    fn eight_orientations_of_a_stored_picture() {
        // Stored: 0 1 2 / 3 4 5.
        let expected: [(u32, &[u8]); 8] = [
            (3, &[0, 1, 2, 3, 4, 5]),
            (3, &[2, 1, 0, 5, 4, 3]),
            (3, &[5, 4, 3, 2, 1, 0]),
            (3, &[3, 4, 5, 0, 1, 2]),
            (2, &[0, 3, 1, 4, 2, 5]),
            (2, &[3, 0, 4, 1, 5, 2]),
            (2, &[5, 2, 4, 1, 3, 0]),
            (2, &[2, 5, 1, 4, 0, 3]),
        ];
        for (value, (width, bytes)) in (1..=8).zip(expected) {
            let image = Pixmap::new(Size::new(3, 2), Layout::Gray, (0..6).collect());
            let turned = run(image, Orientation::from_exif(value).unwrap());
            assert_eq!((turned.size().width, turned.bytes()), (width, bytes), "orientation {value}");
        }
    }
}
