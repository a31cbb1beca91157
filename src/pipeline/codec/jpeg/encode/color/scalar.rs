//! The reference: what every level answers, bit for bit.

use super::{BLOCK, BLUE, LUMA, Planes, RED, Rgb, SharedPlanes};

/// Luma and chroma of every pixel.
pub(super) fn convert(row: &[Rgb], planes: Planes<'_>) {
    let Planes { y, cb, cr } = planes;
    for (((rgb, y), cb), cr) in row.iter().zip(y).zip(cb).zip(cr) {
        let channels = separate(rgb).map(|channel| channel.map(|sample| i16::from(sample) << 7));
        *y = mixed(&channels, LUMA);
        *cb = mixed(&channels, BLUE);
        *cr = mixed(&channels, RED);
    }
}

/// Luma of every pixel, chroma of every 2×2 pixels.
pub(super) fn convert_shared(rows: [&[Rgb]; 2], planes: SharedPlanes<'_>) {
    let SharedPlanes { y: [y_top, y_bottom], cb, cr } = planes;
    let luma = y_top.iter_mut().zip(y_bottom);
    for ((((top, bottom), (y_top, y_bottom)), cb), cr) in rows[0].iter().zip(rows[1]).zip(luma).zip(cb).zip(cr) {
        let (top, bottom) = (separate(top), separate(bottom));
        *y_top = mixed(&top.map(|channel| channel.map(|sample| i16::from(sample) << 7)), LUMA);
        *y_bottom = mixed(&bottom.map(|channel| channel.map(|sample| i16::from(sample) << 7)), LUMA);
        let means: [[i16; BLOCK / 2]; 3] = std::array::from_fn(|channel| {
            std::array::from_fn(|x| {
                let four =
                    [top[channel][2 * x], top[channel][2 * x + 1], bottom[channel][2 * x], bottom[channel][2 * x + 1]];
                four.into_iter().map(i16::from).sum::<i16>() << 5
            })
        });
        *cb = mixed(&means, BLUE);
        *cr = mixed(&means, RED);
    }
}

/// The three channels of interleaved pixels.
fn separate(rgb: &Rgb) -> [[u8; BLOCK]; 3] {
    std::array::from_fn(|channel| std::array::from_fn(|x| rgb[3 * x + channel]))
}

fn mixed<const N: usize>(channels: &[[i16; N]; 3], factors: [i16; 3]) -> [i16; N] {
    let [r, g, b] = channels;
    std::array::from_fn(|x| product(r[x], factors[0]) + product(g[x], factors[1]) + product(b[x], factors[2]))
}

/// `round(sample · factor / 32768)`.
const fn product(sample: i16, factor: i16) -> i16 {
    ((sample as i32 * factor as i32 + (1 << 14)) >> 15) as i16
}
