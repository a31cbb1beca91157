//! The reference: what every level answers, bit for bit.

/// Gray ink over opaque gray.
pub(super) fn over_gray(ink: &[[u8; 4]], picture: &mut [u8]) {
    for (gray, &[ink, _, _, alpha]) in picture.iter_mut().zip(ink) {
        *gray = over_opaque(ink, alpha, *gray);
    }
}

/// Gray ink over gray with straight alpha.
pub(super) fn over_gray_alpha(ink: &[[u8; 4]], picture: &mut [[u8; 2]]) {
    for (pixel, &[ink, _, _, alpha]) in picture.iter_mut().zip(ink) {
        let [gray, under] = *pixel;
        let over = Straight::new(alpha, under);
        if over.total > 0 {
            *pixel = [over.channel(ink, gray), over.alpha()];
        }
    }
}

/// Ink over opaque RGB.
pub(super) fn over_rgb(ink: &[[u8; 4]], picture: &mut [[u8; 3]]) {
    for (pixel, &[r, g, b, alpha]) in picture.iter_mut().zip(ink) {
        let [under_r, under_g, under_b] = *pixel;
        *pixel = [over_opaque(r, alpha, under_r), over_opaque(g, alpha, under_g), over_opaque(b, alpha, under_b)];
    }
}

/// Ink over RGB with straight alpha.
pub(super) fn over_rgba(ink: &[[u8; 4]], picture: &mut [[u8; 4]]) {
    for (pixel, &[r, g, b, alpha]) in picture.iter_mut().zip(ink) {
        let [under_r, under_g, under_b, under] = *pixel;
        let over = Straight::new(alpha, under);
        if over.total > 0 {
            *pixel = [over.channel(r, under_r), over.channel(g, under_g), over.channel(b, under_b), over.alpha()];
        }
    }
}

fn over_opaque(ink: u8, alpha: u8, picture: u8) -> u8 {
    ink.saturating_add(div_255(u16::from(picture) * u16::from(255 - alpha)))
}

/// `x / 255` to nearest, for x up to 255².
const fn div_255(x: u16) -> u8 {
    ((x + 128 + ((x + 128) >> 8)) >> 8) as u8
}

/// What the channels of a pixel with straight alpha have in common.
struct Straight {
    /// `b · (255 − a)`: the share of the picture.
    share: u16,
    /// `A`: 65025 times the new alpha.
    total: u16,
}

impl Straight {
    fn new(alpha: u8, under: u8) -> Self {
        let share = u16::from(under) * u16::from(255 - alpha);
        Self { share, total: u16::from(alpha) * 255 + share }
    }

    /// The products are exact, and so is their sum where the ink is at most its alpha.
    fn channel(&self, ink: u8, picture: u8) -> u8 {
        let numerator = f32::from(ink) * 65_025.0 + f32::from(picture) * f32::from(self.share);
        (numerator / f32::from(self.total) + 0.5) as u8
    }

    const fn alpha(&self) -> u8 {
        div_255(self.total)
    }
}
