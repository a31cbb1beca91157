//! From coverage to ink. Light adds up in proportion to area, so that colours are mixed in linear light.
//!
//! A stamp is laid over a picture in sRGB codes, as the Go server did it. There, half a pixel of black on white would be
//! far darker than half its light, and half a pixel of white on black, too: dark letters would look bold and bright ones
//! thin. So coverage becomes the alpha that gives the right light on what letters most likely stand on: bright ones on
//! dark ground, dark ones on bright ground. Black on white and white on black are exact; with the ink itself for ground,
//! nothing is to be seen either way. What lies under letters inside of a stamp is known, and mixed exactly.

use crate::pipeline::color::{code_of_light, light_of_code};
use crate::transform::Color;

/// Steps of coverage.
const STEPS: usize = 255;

/// The inks of a text.
pub(super) struct Paint {
    letter: Ink,
    stroke: Option<Ink>,
    background: Option<Color>,
    /// Alpha for coverage on what is not known, by the ink that is outermost, 0 to 1.
    alphas: Vec<f32>,
}

#[derive(Clone, Copy)]
struct Ink {
    light: [f32; 3],
    /// The same as codes, 0 to 255.
    codes: [f32; 3],
    alpha: f32,
}

impl Ink {
    fn new(color: Color) -> Self {
        let alpha = f32::from(color.alpha) / 255.0;
        Self { light: color.rgb.map(light), codes: color.rgb.map(f32::from), alpha }
    }
}

impl Paint {
    pub(super) fn new(letter: Color, stroke: Option<Color>, background: Option<Color>) -> Self {
        let outermost = stroke.unwrap_or(letter);
        Self {
            letter: Ink::new(letter),
            stroke: stroke.map(Ink::new),
            background,
            alphas: (0..=STEPS).map(|step| alpha_for(outermost, step as f64 / STEPS as f64)).collect(),
        }
    }

    /// The premultiplied ink of a pixel that letters and their stroke cover so much of.
    pub(super) fn ink(&self, letter: f32, stroke: f32, is_on_background: bool) -> [u8; 4] {
        let background = self.background.filter(|_| is_on_background);
        let Some((ink, coverage)) = self.mixed(letter, stroke) else {
            return background
                .map_or([0; 4], |color| premultiplied(color.rgb.map(f32::from), f32::from(color.alpha) / 255.0));
        };
        match background {
            None => premultiplied(ink.codes, self.alpha(coverage) * ink.alpha),
            // All light is known.
            Some(Color { rgb, alpha: 255 }) => {
                let share = coverage * ink.alpha;
                let mixed = std::array::from_fn(|channel| mix(light(rgb[channel]), ink.light[channel], share));
                premultiplied(mixed.map(code), 1.0)
            }
            Some(color) => {
                let (over, under) = (self.alpha(coverage) * ink.alpha, f32::from(color.alpha) / 255.0);
                let alpha = over + under * (1.0 - over);
                if alpha <= 0.0 {
                    return [0; 4];
                }
                let share = over / alpha;
                let mixed =
                    std::array::from_fn(|channel| mix(f32::from(color.rgb[channel]), ink.codes[channel], share));
                premultiplied(mixed, alpha)
            }
        }
    }

    /// Letters over their stroke, and what both cover; `None` for nothing.
    fn mixed(&self, letter: f32, stroke: f32) -> Option<(Ink, f32)> {
        let coverage = letter.max(stroke);
        if coverage <= 0.0 {
            return None;
        }
        let Some(around) = self.stroke else {
            return Some((self.letter, coverage));
        };
        let over = letter / coverage * self.letter.alpha;
        let alpha = over + around.alpha * (1.0 - over);
        if alpha <= 0.0 {
            return None;
        }
        let share = over / alpha;
        if share <= 0.0 || share >= 1.0 {
            let ink = if share <= 0.0 { around } else { self.letter };
            return Some((Ink { alpha, ..ink }, coverage));
        }
        let light = std::array::from_fn(|channel| mix(around.light[channel], self.letter.light[channel], share));
        Some((Ink { light, codes: light.map(code), alpha }, coverage))
    }

    fn alpha(&self, coverage: f32) -> f32 {
        let position = coverage.clamp(0.0, 1.0) * STEPS as f32;
        let (step, part) = (position.floor(), position.fract());
        let next = (step as usize + 1).min(STEPS);
        mix(self.alphas[step as usize], self.alphas[next], part)
    }
}

/// The alpha that, in sRGB codes, gives the light of `coverage` of this ink on the opposite ground.
fn alpha_for(ink: Color, coverage: f64) -> f32 {
    let [r, g, b] = ink.rgb.map(f64::from);
    // Rec. 601, as the grayscale filter.
    let ink = (0.299 * r + 0.587 * g + 0.114 * b) / 255.0;
    let ground = 1.0 - ink;
    if (ink - ground).abs() < 1.0 / 256.0 {
        return coverage as f32;
    }
    let light = light_of_code(ground) + (light_of_code(ink) - light_of_code(ground)) * coverage;
    ((code_of_light(light) - ground) / (ink - ground)).clamp(0.0, 1.0) as f32
}

fn mix(from: f32, to: f32, share: f32) -> f32 {
    from + (to - from) * share
}

fn light(code: u8) -> f32 {
    light_of_code(f64::from(code) / 255.0) as f32
}

/// 0 to 255.
fn code(light: f32) -> f32 {
    (code_of_light(f64::from(light)) * 255.0) as f32
}

/// Codes of 0 to 255 and an alpha of 0 to 1.
fn premultiplied(codes: [f32; 3], alpha: f32) -> [u8; 4] {
    let byte = |value: f32| value.round() as u8;
    let [r, g, b] = codes.map(|code| byte(code * alpha));
    [r, g, b, byte(255.0 * alpha)]
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLACK: Color = Color::opaque([0; 3]);
    const WHITE: Color = Color::opaque([255; 3]);

    /// The light of a gray picture under ink, in sRGB codes as stamps are drawn.
    fn shown(ink: [u8; 4], ground: u8) -> f64 {
        let code = f64::from(ink[0]) + f64::from(ground) * (1.0 - f64::from(ink[3]) / 255.0);
        light_of_code(code / 255.0)
    }

    #[test]
    fn dark_and_bright_letters_are_equally_bold() {
        let (black, white) = (Paint::new(BLACK, None, None), Paint::new(WHITE, None, None));
        for step in 0..=20 {
            let coverage = step as f32 / 20.0;
            let taken = 1.0 - shown(black.ink(coverage, 0.0, false), 255);
            let given = shown(white.ink(coverage, 0.0, false), 0);
            // One code of 255 is up to 0.9 % of the light.
            assert!((taken - f64::from(coverage)).abs() < 0.01, "black: {taken} of {coverage}");
            assert!((given - f64::from(coverage)).abs() < 0.01, "white: {given} of {coverage}");
        }
    }

    #[test]
    fn what_is_known_is_mixed_in_linear_light() {
        let on_paper = Paint::new(BLACK, None, Some(WHITE));
        let [r, g, b, alpha] = on_paper.ink(0.5, 0.0, true);
        assert_eq!((r, g, b, alpha), (188, 188, 188, 255));
        assert_eq!(on_paper.ink(0.0, 0.0, true), [255; 4]);
        assert_eq!(on_paper.ink(0.0, 0.0, false), [0; 4]);
        // Half a pixel of white, the rest of it stroke.
        let outlined = Paint::new(WHITE, Some(BLACK), None);
        assert_eq!(outlined.ink(0.5, 1.0, false), [188, 188, 188, 255]);
        assert_eq!(outlined.ink(0.0, 1.0, false), [0, 0, 0, 255]);
        assert_eq!(outlined.ink(1.0, 1.0, false), [255; 4]);
    }

    #[test]
    fn ink_is_premultiplied() {
        let half = |rgb| Color { rgb, alpha: 128 };
        let colors = [BLACK, WHITE, half([255, 0, 128]), half([9, 200, 77]), Color { rgb: [1, 2, 3], alpha: 0 }];
        let options = |all: bool| colors.iter().map(|&color| Some(color)).chain(all.then_some(None));
        for letter in colors {
            for stroke in options(true) {
                for background in options(true) {
                    let paint = Paint::new(letter, stroke, background);
                    for step in 0..=100 {
                        let (coverage, around) = (f64::from(step % 11) / 10.0, f64::from(step / 10) / 10.0);
                        let [r, g, b, alpha] = paint.ink(coverage as f32, around as f32, step % 2 == 0);
                        assert!(r <= alpha && g <= alpha && b <= alpha, "{r} {g} {b} {alpha}");
                    }
                }
            }
        }
        assert_eq!(Paint::new(half([255, 0, 0]), None, None).ink(1.0, 0.0, false), [128, 0, 0, 128]);
    }
}
