//! The stages of an image, and how long they took for one request.

use std::time::{Duration, Instant};

use super::metrics;

/// What is done for an image, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Waiting for a place and for memory.
    Queue,
    /// Reading a cached answer, or the source.
    Fetch,
    /// Decoding, with that of profiles.
    Decode,
    /// Cropping and resizing, with filters and turning.
    Resize,
    /// Drawing watermarks and texts.
    Stamp,
    /// Encoding.
    Encode,
    /// Writing to the storage (uploads) or to the cache, which no answer waits for.
    Store,
}

/// All of them.
const STAGES: [Stage; 7] =
    [Stage::Queue, Stage::Fetch, Stage::Decode, Stage::Resize, Stage::Stamp, Stage::Encode, Stage::Store];

impl Stage {
    /// As labels and `Server-Timing` have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Fetch => "fetch",
            Self::Decode => "decode",
            Self::Resize => "resize",
            Self::Stamp => "stamp",
            Self::Encode => "encode",
            Self::Store => "store",
        }
    }
}

/// How long each stage took, in microseconds; 0 for those that were not needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StageTimes([u32; STAGES.len()]);

impl StageTimes {
    /// Adds to a stage.
    pub fn add(&mut self, stage: Stage, time: Duration) {
        let time_us = &mut self.0[stage as usize];
        *time_us = time_us.saturating_add(u32::try_from(time.as_micros()).unwrap_or(u32::MAX));
    }

    /// Those that took a microsecond at least, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (Stage, Duration)> {
        let times = STAGES.into_iter().zip(self.0);
        times.filter(|(_, time_us)| *time_us > 0).map(|(stage, us)| (stage, Duration::from_micros(us.into())))
    }

    /// A stage in milliseconds, to a hundredth; `None` if it was not needed.
    #[must_use]
    pub fn milliseconds(&self, stage: Stage) -> Option<f64> {
        let time_us = self.0[stage as usize];
        (time_us > 0).then(|| (f64::from(time_us) / 10.0).round() / 100.0)
    }

    /// Notes them for `/metrics`.
    pub fn observe(&self) {
        for (stage, time) in self.iter() {
            metrics().observe(stage, time.as_secs_f64());
        }
    }
}

/// Measures stages that follow one another.
#[derive(Debug, Default)]
pub struct Stopwatch {
    times: StageTimes,
    running: Option<(Stage, Instant)>,
}

impl Stopwatch {
    /// The present stage ends, and another begins.
    pub fn enter(&mut self, stage: Stage) {
        let now = Instant::now();
        if let Some((before, since)) = self.running.replace((stage, now)) {
            self.times.add(before, now - since);
        }
    }

    /// The present stage ends, and none begins.
    pub fn stop(&mut self) {
        if let Some((stage, since)) = self.running.take() {
            self.times.add(stage, since.elapsed());
        }
    }

    /// What was measured since the start, or since this was asked last.
    pub fn take(&mut self) -> StageTimes {
        self.stop();
        std::mem::take(&mut self.times)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_add_up_in_their_order() {
        let mut times = StageTimes::default();
        times.add(Stage::Encode, Duration::from_micros(1500));
        times.add(Stage::Fetch, Duration::from_micros(100));
        times.add(Stage::Encode, Duration::from_micros(500));
        times.add(Stage::Decode, Duration::from_nanos(10));
        let shown: Vec<_> = times.iter().map(|(stage, time)| (stage, time.as_micros())).collect();
        assert_eq!(shown, [(Stage::Fetch, 100), (Stage::Encode, 2000)]);
        assert_eq!((times.milliseconds(Stage::Encode), times.milliseconds(Stage::Decode)), (Some(2.0), None));
        times.add(Stage::Fetch, Duration::from_secs(1 << 40));
        assert_eq!(times.milliseconds(Stage::Fetch), Some(4_294_967.3));
    }

    #[test]
    fn one_stage_runs_at_a_time() {
        let mut watch = Stopwatch::default();
        watch.enter(Stage::Decode);
        std::thread::park_timeout(Duration::from_millis(2));
        watch.enter(Stage::Resize);
        let times: Vec<Stage> = watch.take().iter().map(|(stage, _)| stage).collect();
        assert!(times.contains(&Stage::Decode) && !times.contains(&Stage::Encode));
        assert_eq!(watch.take(), StageTimes::default());
    }
}
