//! The frontier as SVG: for each work CPU time a request, in logarithmic steps, against SSIMULACRA2. Up is better, left is
//! faster. Colours follow the reader's scheme, light or dark.

use std::fmt::Write as _;

use crate::report::Row;
use crate::servers;

const PANEL: (f64, f64) = (430.0, 300.0);
/// Of the axes, inside of a panel: left, top, right, bottom.
const AXES: (f64, f64, f64, f64) = (52.0, 40.0, 395.0, 250.0);
/// Height of a line of labels.
const LINE: f64 = 14.0;
/// Width of a character of a label, about.
const CHARACTER: f64 = 6.6;

const STYLE: &str = "text{font:12px sans-serif;fill:#24292f}.t{font-weight:bold;font-size:13px}.n{font-size:11px;fill:#57606a}\
.g{stroke:#d0d7de;stroke-width:1}.f{fill:none;stroke:#8c959f;stroke-width:1.5;stroke-dasharray:4 3}.b{font-weight:bold}.p{fill:#fff}.s0{fill:#cf222e}.s1{fill:#0969da}.s2{fill:#1a7f37}.s3{fill:#57ab5a}\
.s4{fill:#8250df}.s5{fill:#9a6700}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.n{fill:#9198a1}.g{stroke:#3d444d}.f{stroke:#9198a1}.p{fill:#0d1117}.s0{fill:#ff7b72}.s1{fill:#58a6ff}\
.s2{fill:#3fb950}.s3{fill:#7ee787}.s4{fill:#bc8cff}.s5{fill:#d29922}}";

/// Numbers from `low` to `high` onto pixels.
struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Axis {
    /// With some room at both ends.
    fn new(values: impl Iterator<Item = f64> + Clone, least_room: f64, from: f64, to: f64) -> Self {
        let low = values.clone().fold(f64::INFINITY, f64::min);
        let high = values.fold(f64::NEG_INFINITY, f64::max);
        let room = ((high - low) * 0.12).max(least_room);
        Self { low: low - room, high: high + room, from, to }
    }

    fn at(&self, value: f64) -> f64 {
        self.from + (value - self.low) / (self.high - self.low) * (self.to - self.from)
    }
}

/// All works that have scores, two panels in a row.
pub(crate) fn frontier(rows: &[Row]) -> String {
    let mut works: Vec<(&str, Vec<&Row>)> = Vec::new();
    for row in rows.iter().filter(|row| row.score.is_some() && row.cpu_ms > 0.0) {
        match works.last_mut() {
            Some((name, rows)) if *name == row.work.name => rows.push(row),
            _ => works.push((row.work.name, vec![row])),
        }
    }
    let n_columns = works.len().clamp(1, 2);
    let (width, height) = (PANEL.0 * n_columns as f64, PANEL.1 * works.len().div_ceil(n_columns) as f64);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\">\n\
         <title>CPU time a request against SSIMULACRA2</title>\n<style>{STYLE}</style>\n<rect class=\"p\" width=\"{width}\" height=\"{height}\"/>\n"
    );
    for (index, (_, rows)) in works.iter().enumerate() {
        let (x, y) = (PANEL.0 * (index % n_columns) as f64, PANEL.1 * (index / n_columns) as f64);
        // Writing to a text does not fail, here and below.
        let _ = writeln!(svg, "<g transform=\"translate({x} {y})\">\n{}</g>", panel(rows));
    }
    svg + "</svg>\n"
}

fn panel(rows: &[&Row]) -> String {
    let (left, top, right, bottom) = AXES;
    let across = Axis::new(rows.iter().map(|row| row.cpu_ms.ln()), 0.15, left, right);
    let up = Axis::new(rows.iter().filter_map(|row| row.score), 1.0, bottom, top);
    let mut svg = format!("<text class=\"t\" x=\"{left}\" y=\"20\">{}</text>\n", rows[0].work.title);
    for milliseconds in
        [1.0, 2.0, 3.0, 5.0, 7.0].iter().flat_map(|digit| [1.0, 10.0, 100.0, 1000.0].map(|ten| digit * ten))
    {
        let x = across.at(f64::ln(milliseconds));
        if (left..=right).contains(&x) {
            let _ = writeln!(
                svg,
                "<path class=\"g\" d=\"M{x:.1} {top}V{bottom}\"/><text class=\"n\" x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{milliseconds}</text>",
                bottom + 16.0
            );
        }
    }
    let span = up.high - up.low;
    let step = [1.0, 2.0, 5.0, 10.0, 20.0].into_iter().find(|step| span / step <= 6.0).unwrap_or(50.0);
    let mut score = (up.low / step).ceil() * step;
    while score <= up.high {
        let y = up.at(score);
        let _ = writeln!(
            svg,
            "<path class=\"g\" d=\"M{left} {y:.1}H{right}\"/><text class=\"n\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{score}</text>",
            left - 6.0,
            y + 4.0
        );
        score += step;
    }
    let middle = f64::midpoint(top, bottom);
    let _ = writeln!(
        svg,
        "<text class=\"n\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">CPU ms a request (less is faster)</text>\n\
         <text class=\"n\" transform=\"translate(14 {middle}) rotate(-90)\" text-anchor=\"middle\">SSIMULACRA2 (more is better)</text>",
        f64::midpoint(left, right),
        bottom + 36.0
    );
    svg + &line(rows, &across, &up) + &points(rows, &across, &up)
}

/// Joins the servers that no other beats in both.
fn line(rows: &[&Row], across: &Axis, up: &Axis) -> String {
    let mut path = String::new();
    let mut best = f64::NEG_INFINITY;
    // Rows are in the order of CPU time.
    for row in rows {
        let score = row.score.unwrap_or_default();
        if score > best {
            best = score;
            let start = if path.is_empty() { "M" } else { "L" };
            let _ = write!(path, "{start}{:.1} {:.1}", across.at(row.cpu_ms.ln()), up.at(score));
        }
    }
    format!("<path class=\"f\" d=\"{path}\"/>\n")
}

/// Points with the names of the servers beside them, moved apart where they would lie over each other.
fn points(rows: &[&Row], across: &Axis, up: &Axis) -> String {
    let mut svg = String::new();
    let mut taken: Vec<(f64, f64, f64)> = Vec::new();
    let mut placed: Vec<(&Row, f64, f64)> =
        rows.iter().map(|row| (*row, across.at(row.cpu_ms.ln()), up.at(row.score.unwrap_or_default()))).collect();
    placed.sort_by(|a, b| a.2.total_cmp(&b.2));
    taken.extend(placed.iter().map(|(_, x, y)| (x - 6.0, x + 6.0, y + 4.0)));
    for (row, x, y) in placed {
        let width = row.server.len() as f64 * CHARACTER + 4.0;
        let is_left = x + 10.0 + width > PANEL.0;
        let start = if is_left { x - 10.0 - width } else { x + 10.0 };
        let mut label = y + 4.0;
        while taken.iter().any(|&(from, to, at)| start < to && from < start + width && (label - at).abs() < LINE) {
            label += 2.0;
        }
        taken.push((start, start + width, label));
        let number = servers::names().position(|name| name == row.server).unwrap_or_default();
        let (class, radius) = if number == 0 { ("b", 6) } else { ("", 5) };
        let (anchor, at) = if is_left { ("end", x - 10.0) } else { ("start", x + 10.0) };
        let _ = writeln!(
            svg,
            "<circle class=\"s{number}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\"/>\
             <text class=\"{class}\" x=\"{at:.1}\" y=\"{label:.1}\" text-anchor=\"{anchor}\">{}</text>",
            row.server
        );
    }
    svg
}
