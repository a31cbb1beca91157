//! Bounds in force, so that a graph can show how far from them the server is.

use super::metrics;

/// Tells the bounds that the configuration sets, by their keys; those that were told before and are none any more go.
pub fn set_limits<'a>(limits: impl IntoIterator<Item = (&'a str, f64)>) {
    let gauges = &metrics().limits;
    gauges.reset();
    for (key, value) in limits {
        gauges.with_label_values(&[key]).set(value);
    }
}

/// Tells what this program is.
pub fn set_settings(version: &str, simd: &str) {
    metrics().build.with_label_values(&[version, simd]).set(1);
}
