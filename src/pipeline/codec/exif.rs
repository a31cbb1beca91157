//! EXIF orientation (EXIF 2.32 §4.6.4, tag 0x0112). Nothing else of the metadata is read.

use std::panic::catch_unwind;

use exif::{In, Reader, Tag, Value};

use crate::raster::Orientation;

/// EXIF data in a JPEG fits into one segment of 64 KiB; the same bound holds for PNG.
const MAX_BYTES: usize = 65_536;

/// The orientation that a TIFF structure gives for the main picture. Whatever is not exactly one SHORT of
/// 1 to 8 counts as the normal orientation, as browsers have it.
pub(super) fn orientation(tiff: &[u8]) -> Orientation {
    if tiff.len() > MAX_BYTES {
        return Orientation::NORMAL;
    }
    // The structure comes from outside: a panic while reading it means that there is no orientation.
    catch_unwind(|| read(tiff)).ok().flatten().unwrap_or(Orientation::NORMAL)
}

fn read(tiff: &[u8]) -> Option<Orientation> {
    let mut reader = Reader::new();
    reader.continue_on_error(true);
    // A damaged entry elsewhere does not hide the orientation.
    let fields = reader.read_raw(tiff.to_vec()).or_else(|error| error.distill_partial_result(|_| {})).ok()?;
    match &fields.get_field(Tag::Orientation, In::PRIMARY)?.value {
        Value::Short(values) if values.len() == 1 => Orientation::from_exif(u32::from(values[0])),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Little-endian TIFF with one entry: tag 0x0112 of the given type, count and value bytes.
    fn tiff(kind: u16, count: u32, value: [u8; 4]) -> Vec<u8> {
        let mut bytes = b"II*\0\x08\0\0\0\x01\0\x12\x01".to_vec();
        bytes.extend(kind.to_le_bytes());
        bytes.extend(count.to_le_bytes());
        bytes.extend(value);
        bytes.extend([0; 4]);
        bytes
    }

    #[test]
    fn only_one_short_counts() {
        assert_eq!(orientation(&tiff(3, 1, [6, 0, 0, 0])), Orientation::from_exif(6).unwrap());
        for odd in [tiff(3, 1, [0; 4]), tiff(3, 1, [9, 0, 0, 0]), tiff(4, 1, [6, 0, 0, 0]), tiff(3, 2, [6, 0, 6, 0])] {
            assert_eq!(orientation(&odd), Orientation::NORMAL);
        }
        assert_eq!(orientation(b""), Orientation::NORMAL);
        assert_eq!(orientation(b"II*\0\xFF\xFF\xFF\xFF"), Orientation::NORMAL);
    }
}
