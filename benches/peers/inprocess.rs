//! Without servers: pictures by the pipeline and by sharp in a node of its own, and JPEG at 1/8 of its size by us and by
//! libjpeg-turbo (`benches/turbo`). Batches take turns on one core.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use pixlserv::pipeline::codec::{self, Pixels};
use pixlserv::pipeline::{self, Limits, Wanted};
use pixlserv::plan::Eighths;
use pixlserv::simd::Level;

use crate::common::{find, on_cores};
use crate::pictures::{Picture, Pictures, plan};
use crate::rounds::pin_to;
use crate::servers::installed;
use crate::usage::thread_cpu_ms;
use crate::works::Set;

/// About how long a batch of ours takes.
const BATCH_MS: f64 = 300.0;

/// Milliseconds for one operation.
#[derive(Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) wall: f64,
    pub(crate) cpu: f64,
}

/// One operation on one picture, in each round by both.
pub(crate) struct Row {
    pub(crate) title: String,
    pub(crate) ours: Vec<Cost>,
    pub(crate) theirs: Vec<Cost>,
}

pub(crate) struct Comparison {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) other: &'static str,
    pub(crate) rows: Vec<Row>,
}

/// What the two of a row do: ours, so many times, and the order for the other, which follows the number of times.
struct Operation<'a> {
    title: String,
    ours: Box<dyn Fn(u32) + Send + Sync + 'a>,
    order: String,
}

/// A program that carries out orders, one a line, each answered by a line with milliseconds of wall clock and of CPU.
struct Other {
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Drop for Other {
    fn drop(&mut self) {
        // Its input ends, and so does it.
        self.orders = None;
        let _ = self.child.wait();
    }
}

impl Other {
    fn start(command: &mut Command) -> Result<Self, String> {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        let answers = BufReader::new(child.stdout.take().expect("it is piped"));
        Ok(Self { orders: child.stdin.take(), child, answers })
    }

    fn batch(&mut self, order: &str, times: u32) -> Option<Cost> {
        writeln!(self.orders.as_mut()?, "{times} {order}").ok()?;
        let mut line = String::new();
        self.answers.read_line(&mut line).ok()?;
        let (wall, cpu) = line.trim().split_once(' ')?;
        let of = |text: &str| Some(text.parse::<f64>().ok()? / f64::from(times));
        Some(Cost { wall: of(wall)?, cpu: of(cpu)? })
    }
}

/// Whole answers, as sharp makes them; `None`, and a line, where there is no sharp.
pub(crate) fn with_sharp(pictures: &Pictures, n_rounds: usize) -> Option<Comparison> {
    let of_set = |set, width: u32, height: u32| {
        pictures.of(set).iter().map(move |picture: &Picture| {
            let source = picture.read();
            let answer = move |times| {
                for _ in 0..times {
                    let plan = plan(&source, &format!("w_{width},h_{height},c_a")).expect("a sound picture");
                    let answer = pipeline::run(Level::best(), &source, &plan, pipeline::no_stamps);
                    std::hint::black_box(answer.expect("a sound picture"));
                }
            };
            Operation {
                title: format!("{} to {width} × {height}", picture.name),
                ours: Box::new(answer),
                order: format!("{width} {height} {}", picture.path.display()),
            }
        })
    };
    let operations = of_set(Set::OfSharp, 720, 588)
        .chain(of_set(Set::Png, 720, 540))
        .chain(of_set(Set::Photographs, 512, 512))
        .collect();
    let sharp = || {
        let node = find("node").ok_or("there is no node")?;
        let modules = installed("node_modules/sharp")?;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/sharp-batch.js");
        Other::start(on_cores(&node, Some("0")).env("NODE_PATH", modules.with_file_name("")).arg(script))
    };
    let rows = compare(sharp(), operations, n_rounds)?;
    Some(Comparison { name: "in-process", title: "in process, one core", other: "sharp", rows })
}

/// JPEG at 1/8 of its width and height, where nearly all time is entropy decoding.
pub(crate) fn with_turbo(pictures: &Pictures, n_rounds: usize) -> Option<Comparison> {
    let operation = |picture: &Picture| {
        let source = picture.read();
        let decode = move |times| (0..times).for_each(|_| eighth(&source));
        let (title, order) = (picture.name.clone(), picture.path.display().to_string());
        Operation { title, ours: Box::new(decode), order }
    };
    let operations = pictures.of(Set::Photographs).iter().chain(pictures.of(Set::Progressive)).map(operation).collect();
    let turbo = installed("turbo/release/turbo").and_then(|turbo| Other::start(&mut on_cores(&turbo, Some("0"))));
    let rows = compare(turbo, operations, n_rounds)?;
    Some(Comparison { name: "entropy", title: "JPEG at 1/8, one core", other: "libjpeg-turbo", rows })
}

/// What is measured beside libjpeg-turbo at 1/8: all rows, with the variance that they have lost.
fn eighth(source: &[u8]) {
    let header = pipeline::probe(source, Limits { max_source_pixels: 100_000_000 }).expect("a sound picture");
    let wanted = Wanted { eighths: Eighths::MIN, ..Wanted::all(header.stored) };
    let mut decoded = codec::decode(Level::best(), source, &wanted).expect("a sound picture");
    if let Pixels::Rows(rows) = &mut decoded.pixels {
        (0..rows.size().height).for_each(|y| _ = std::hint::black_box(rows.row(y)));
    }
    decoded.pixels.finish().expect("a sound picture");
}

fn compare(other: Result<Other, String>, operations: Vec<Operation>, n_rounds: usize) -> Option<Vec<Row>> {
    let mut other = other.inspect_err(|error| eprintln!("skipped: {error}")).ok()?;
    let ours = |operation: &Operation, times: u32| {
        let (start, cpu) = (Instant::now(), thread_cpu_ms());
        (operation.ours)(times);
        let (wall, cpu) = (start.elapsed().as_secs_f64() * 1e3, thread_cpu_ms() - cpu);
        Cost { wall: wall / f64::from(times), cpu: cpu / f64::from(times) }
    };
    let mut row = |operation: Operation| {
        // The first of each warms up and shows how many make a batch.
        let times = (BATCH_MS / ours(&operation, 1).wall).ceil().max(1.0) as u32;
        other.batch(&operation.order, 1)?;
        let mut row = Row { title: operation.title.clone(), ours: Vec::new(), theirs: Vec::new() };
        for _ in 0..n_rounds {
            row.ours.push(ours(&operation, times));
            row.theirs.push(other.batch(&operation.order, times)?);
        }
        Some(row)
    };
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            pin_to(0);
            operations.into_iter().filter_map(&mut row).collect()
        });
        Some(thread.join().expect("the pipeline does not panic"))
    })
}
