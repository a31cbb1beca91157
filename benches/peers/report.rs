//! Results as a table, as CSV, and where they are kept.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::common::{day, heading};
use crate::inprocess::{Comparison, Cost, Row as Compared};
use crate::plot;
use crate::rounds::{Result, Results, Slice};
use crate::works::{WORKS, Work};

/// A row: medians over rounds, percentiles over all requests, means over pictures.
pub(crate) struct Row {
    pub(crate) work: &'static Work,
    pub(crate) server: &'static str,
    per_second: f64,
    pub(crate) cpu_ms: f64,
    p50_ms: f64,
    p95_ms: f64,
    peak_mb: f64,
    kilobytes: f64,
    pub(crate) score: Option<f64>,
    n_errors: usize,
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn percentile(latencies: &[Duration], percent: usize) -> f64 {
    let mut latencies = latencies.to_vec();
    latencies.sort_unstable();
    let index = (latencies.len() * percent / 100).min(latencies.len().saturating_sub(1));
    latencies.get(index).map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e3)
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> Option<f64> {
    let n_values = values.len();
    (n_values > 0).then(|| values.sum::<f64>() / n_values as f64)
}

/// In the order of works, then of speed.
pub(crate) fn rows(results: &Results) -> Vec<Row> {
    let row = |(&(number, server), result): (&(usize, &'static str), &Result)| {
        let of = |value: fn(&Slice) -> f64| median(result.slices.iter().map(value).collect());
        Row {
            work: &WORKS[number],
            server,
            per_second: of(|slice| slice.per_second),
            cpu_ms: of(|slice| slice.cpu_ms),
            p50_ms: percentile(&result.latencies, 50),
            p95_ms: percentile(&result.latencies, 95),
            peak_mb: of(|slice| slice.peak_mb),
            kilobytes: mean(result.bytes.iter().map(|&bytes| bytes as f64 / 1024.0)).unwrap_or(f64::NAN),
            score: mean(result.scores.iter().copied()),
            n_errors: result.n_errors,
        }
    };
    let mut rows: Vec<(usize, Row)> = results.iter().map(|result| (result.0.0, row(result))).collect();
    rows.sort_by(|a, b| (a.0, a.1.cpu_ms).partial_cmp(&(b.0, b.1.cpu_ms)).unwrap_or(std::cmp::Ordering::Equal));
    rows.into_iter().map(|(_, row)| row).collect()
}

pub(crate) fn table(results: &Results) -> String {
    let mut text = String::new();
    let mut last = "";
    for row in rows(results) {
        if row.work.name != last {
            last = row.work.name;
            // Writing to a text does not fail, here and below.
            let _ = writeln!(
                text,
                "\n{:<60} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>12}",
                format!("{} ({last})", row.work.title),
                "req/s",
                "CPU ms",
                "p50 ms",
                "p95 ms",
                "peak MB",
                "KB",
                "SSIMULACRA2"
            );
        }
        let score = row.score.map_or_else(|| "-".to_owned(), |score| format!("{score:.1}"));
        let errors = if row.n_errors > 0 { format!("  {} errors", row.n_errors) } else { String::new() };
        let _ = writeln!(
            text,
            "  {:<58} {:>8.1} {:>8.1} {:>8.1} {:>8.1} {:>8.0} {:>8.1} {score:>12}{errors}",
            row.server, row.per_second, row.cpu_ms, row.p50_ms, row.p95_ms, row.peak_mb, row.kilobytes
        );
    }
    text
}

/// What is compared with the plain work `fit-512` of the same server.
pub(crate) fn ratios(results: &Results) -> String {
    let rows = rows(results);
    let find = |work: &str, server: &str| rows.iter().find(|row| row.work.name == work && row.server == server);
    let mut text = String::new();
    for row in &rows {
        let Some(plain) = find("fit-512", row.server) else { continue };
        let _ = match row.work.name {
            "gray-512" | "watermark-512" => writeln!(
                text,
                "{}, {}: {:.2} times the CPU time of fit-512",
                row.work.name,
                row.server,
                row.cpu_ms / plain.cpu_ms
            ),
            "two-cores-512" => writeln!(
                text,
                "two cores, {}: {:.2} times the requests/s of one",
                row.server,
                row.per_second / plain.per_second
            ),
            _ => Ok(()),
        };
    }
    if text.is_empty() { text } else { format!("\n{text}") }
}

/// Medians of the comparisons without servers, and how often ours is done in the CPU time of the other.
pub(crate) fn in_process(comparisons: &[Comparison]) -> String {
    let mut text = String::new();
    for Comparison { name, title, other, rows } in comparisons {
        let _ = writeln!(
            text,
            "\n{:<60} {:>8} {other:>13}   {:>8} {other:>13} {:>8}",
            format!("{title} ({name})"),
            "ms",
            "CPU ms",
            "ratio"
        );
        for Compared { title, ours, theirs } in rows {
            let of = |costs: &[Cost], value: fn(&Cost) -> f64| median(costs.iter().map(value).collect());
            let (our_cpu, their_cpu) = (of(ours, |cost| cost.cpu), of(theirs, |cost| cost.cpu));
            let _ = writeln!(
                text,
                "  {title:<58} {:>8.2} {:>13.2}   {our_cpu:>8.2} {their_cpu:>13.2} {:>8.2}",
                of(ours, |cost| cost.wall),
                of(theirs, |cost| cost.wall),
                their_cpu / our_cpu
            );
        }
    }
    text
}

fn csv(results: &Results, comparisons: &[Comparison]) -> String {
    let mut text =
        "work,server,requests_per_second,cpu_ms,p50_ms,p95_ms,peak_mb,kilobytes,ssimulacra2,errors\n".to_owned();
    for row in rows(results) {
        let score = row.score.map_or_else(String::new, |score| format!("{score:.2}"));
        let _ = writeln!(
            text,
            "{},{},{:.2},{:.2},{:.2},{:.2},{:.1},{:.2},{score},{}",
            row.work.name,
            row.server,
            row.per_second,
            row.cpu_ms,
            row.p50_ms,
            row.p95_ms,
            row.peak_mb,
            row.kilobytes,
            row.n_errors
        );
    }
    for Comparison { name, other, rows, .. } in comparisons {
        for Compared { title, ours, theirs } in rows {
            for (server, costs) in [("pixlserv", ours), (*other, theirs)] {
                let of = |value: fn(&Cost) -> f64| median(costs.iter().map(value).collect());
                let (wall, cpu) = (of(|cost| cost.wall), of(|cost| cost.cpu));
                let _ = writeln!(text, "\"{name}: {title}\",{server},{:.2},{cpu:.2},,,,,,0", 1e3 / wall);
            }
        }
    }
    text
}

/// Table, numbers and plot, as files named by the day.
pub(crate) fn save(folder: &Path, table: &str, results: &Results, comparisons: &[Comparison]) {
    fs::create_dir_all(folder).expect("the folder");
    let at = |extension: &str| folder.join(format!("{}-pixels.{extension}", day()));
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_ascii_whitespace().take(3).collect::<Vec<_>>().join(" ");
    let text = format!(
        "{}\nload average at the end {load}; on a busy machine CPU time and ratios hold, requests/s and latencies do not\n\
         medians of interleaved rounds; memory of all processes of a server; SSIMULACRA2 against Lanczos-3 in linear light\n{table}",
        heading()
    );
    fs::write(at("txt"), text).expect("a file");
    fs::write(at("csv"), csv(results, comparisons)).expect("a file");
    fs::write(at("svg"), plot::frontier(&rows(results))).expect("a file");
}
