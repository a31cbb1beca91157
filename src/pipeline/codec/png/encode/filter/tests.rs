//! Every level gives the same, and undoing it gives the rows.

use proptest::prelude::*;

use super::adaptive;
use crate::pipeline::codec::png::unfilter::unfilter;
use crate::simd::Level;

proptest! {
    #[test]
    fn what_is_filtered_comes_back(
        (width, height) in (1usize..140, 1usize..9),
        bytes_per_pixel in 1usize..5,
        bytes in prop::collection::vec(prop_oneof![Just(0u8), Just(255), any::<u8>()], 1..3000),
    ) {
        let stride = width * bytes_per_pixel;
        let rows: Vec<u8> = (0..stride * height).map(|index| bytes[index % bytes.len()]).collect();
        let scanlines = adaptive(Level::Scalar, bytes_per_pixel, stride, &rows, 0..height);
        let mut back = vec![0; stride * (height + 1)];
        unfilter(Level::Scalar, bytes_per_pixel, stride, &scanlines, &mut back).unwrap();
        prop_assert!(back[stride..] == rows);
        for level in Level::available() {
            prop_assert!(adaptive(level, bytes_per_pixel, stride, &rows, 0..height) == scanlines, "{level:?}");
            let last = adaptive(level, bytes_per_pixel, stride, &rows, height - 1..height);
            prop_assert!(scanlines.ends_with(&last), "{level:?}");
        }
    }
}
