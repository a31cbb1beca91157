//! The table of all work that is played.

use crate::pictures::{Picture, Pictures};

/// What is asked of a picture. JPEG answers have quality 80 everywhere.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Operation {
    /// The whole picture inside width × height.
    Fit(u32, u32),
    /// The middle of it, as much as has the shape of width × height.
    Cover(u32, u32),
    /// The whole picture, this wide.
    Wide(u32),
    /// As `Fit`, without colours.
    Gray(u32, u32),
    /// As `Fit` into 512 × 512, with a watermark.
    Watermark,
}

/// Which pictures it is asked of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Set {
    Photographs,
    /// JPEGs of 6 MP and more.
    Progressive,
    /// The one that sharp's own benchmark resizes.
    OfSharp,
    /// With alpha, 2048 × 1536.
    Png,
    /// One of 24 MP.
    LargeBaseline,
    LargeProgressive,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Work {
    pub(crate) name: &'static str,
    /// For people.
    pub(crate) title: &'static str,
    pub(crate) operation: Operation,
    pub(crate) set: Set,
    /// How many cores the server has.
    pub(crate) n_cores: usize,
    /// About how many pixels of sources a round has; each picture is asked for equally often.
    megapixels: u64,
    /// Peers start anew for it, and it has one round: what they allocated before would be counted.
    pub(crate) is_memory: bool,
}

pub(crate) const CONNECTIONS: usize = 4;

pub(crate) const WORKS: [Work; 12] = [
    timed("fit-512", "photographs to 512 × 512", Operation::Fit(512, 512), Set::Photographs, 180),
    timed("cover-200", "photographs to cover 200 × 200", Operation::Cover(200, 200), Set::Photographs, 180),
    timed("progressive-200", "progressive of ≥ 6 MP to 200 wide", Operation::Wide(200), Set::Progressive, 65),
    timed("wide-1600", "photographs to 1600 wide", Operation::Wide(1600), Set::Photographs, 80),
    timed("sharp-720", "sharp's 2725 × 2225 to 720 × 588", Operation::Fit(720, 588), Set::OfSharp, 120),
    timed("png-720", "PNG with alpha to 720 × 540", Operation::Fit(720, 540), Set::Png, 20),
    timed("gray-512", "photographs to 512 × 512, grayscale", Operation::Gray(512, 512), Set::Photographs, 180),
    timed("watermark-512", "photographs to 512 × 512, watermark", Operation::Watermark, Set::Photographs, 180),
    Work {
        n_cores: 2,
        ..timed("two-cores-512", "photographs to 512 × 512, two cores", Operation::Fit(512, 512), Set::Photographs, 720)
    },
    memory("memory-baseline", "four of 24 MP, baseline, to 500", Set::LargeBaseline, 200),
    memory("memory-progressive", "four of 24 MP, progressive, to 500", Set::LargeProgressive, 200),
    memory("memory-png", "four PNGs with alpha to 500", Set::Png, 50),
];

const fn timed(name: &'static str, title: &'static str, operation: Operation, set: Set, megapixels: u64) -> Work {
    Work { name, title, operation, set, n_cores: 1, megapixels, is_memory: false }
}

const fn memory(name: &'static str, title: &'static str, set: Set, megapixels: u64) -> Work {
    Work { name, title, operation: Operation::Fit(500, 500), set, n_cores: 2, megapixels, is_memory: true }
}

impl Work {
    /// Pictures of the set that do not have to be enlarged: some servers refuse to.
    pub(crate) fn pictures<'a>(&self, pictures: &'a Pictures) -> Vec<&'a Picture> {
        let is_enough = |picture: &&Picture| {
            let size = picture.header.displayed();
            match self.operation {
                Operation::Fit(width, height) | Operation::Gray(width, height) => {
                    size.width >= width || size.height >= height
                }
                Operation::Cover(width, height) => size.width >= width && size.height >= height,
                Operation::Wide(width) => size.width >= width,
                Operation::Watermark => size.width >= 512 || size.height >= 512,
            }
        };
        pictures.of(self.set).iter().filter(is_enough).collect()
    }

    /// How often each of its pictures is asked for in a round that has this share of a full one.
    pub(crate) fn repeats(&self, pictures: &[&Picture], share: f64) -> usize {
        let pixels: u64 = pictures.iter().map(|picture| picture.header.stored.pixels()).sum();
        (self.megapixels as f64 * share * 1e6 / pixels.max(1) as f64).round().clamp(1.0, 1000.0) as usize
    }

    /// Whether answers show the whole picture and nothing else, so that a reference can be made: where the middle begins,
    /// servers differ by parts of a pixel, which would count as errors.
    pub(crate) fn is_scored(&self) -> bool {
        matches!(self.operation, Operation::Fit(..) | Operation::Wide(_)) && self.n_cores == 1
    }
}
