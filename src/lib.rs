//! pixlserv transforms and serves images over HTTP.
//!
//! # The map
//!
//! Each arrow makes a new, complete value of a new type; no stage calls back, none changes what it was given:
//!
//! ```text
//! URL → ImageRequest → Transformation → Plan → Pixmap → Encoded → Response
//! ```
//!
//! A request crosses each room once; [`service`] is the corridor between them:
//!
//! | room | what happens there |
//! |---|---|
//! | [`cli`] | `run`, `check`, `api-key`, `cache`, `transform`; only `main` exits |
//! | [`config`] | the YAML file and the environment become a `Config` whose every field is valid |
//! | [`http`] | the front door: one loop for all connections, framing, bounds; routes and headers |
//! | [`service`] | one line per room; what many wait for is made once, also by servers that share an index, and not before there is room |
//! | [`access`] | may they: API keys, signatures of uploads, rates |
//! | [`transform`] | what was asked: URL grammar, named transformations, names of sources |
//! | [`plan`] | exact numbers: which region, which size, which orientation |
//! | [`pipeline`] | pixels: decode → crop → resize → filter → orient → stamp → encode |
//! | [`store`] | what is kept: sources and new ones, on the local disk or in a bucket; answers in the cache, beside them or there |
//! | [`index`] | what is known of cached answers, keys, and work to be done: in SQLite, or in redis for several servers |
//! | [`raster`] | sizes, rectangles, formats, pixmaps |
//! | [`simd`] | which instruction sets the CPU has; loads and stores of kernels |
//! | [`metrics`] | what all of them count and measure, for `/metrics`, the log and `Server-Timing` |
//!
//! # What holds everywhere
//!
//! - Direction: `cli → http → service → rooms`; `pipeline → plan → transform → raster`; `raster`, `simd` and `metrics`
//!   import nothing of ours. A test reads every `crate::` path and fails on an import against this order.
//! - Only `http` touches client sockets; only `store` and `index` reach the network: object storages (`store::objects`) and
//!   redis.
//! - `transform`, `plan`, `pipeline`, `raster` and `simd` touch no file, socket, clock, environment or log. The pipeline
//!   tells which part of the work begins; whoever runs it has the clock.
//! - Work begins only for somebody who still waits for it.
//! - A configuration is replaced as a whole ([`service::Live`]); what has begun ends by the one that it began with.
//! - I/O happens before or after the pixel work, never inside it. One request, one worker: nothing is split over
//!   threads.
//! - The cache fails no request, and writes by a thread of its own.
//! - Everything from outside has a bound, and every decode is walled against panics.
//!
//! # The three paths
//!
//! A request: [`http`] reads and checks a head, `http::routes` parses the URL, [`service::find_image`] looks for the
//! source, which is enough for a 304; [`service::get_image`] brings the image from the cache, or has its source read, a
//! plan made and the pipeline run. What is in memory is answered by the loop of [`http`] itself; what has to wait for a
//! disk or a network is on the *io* threads, pixels are on the *pixels* threads, one per core.
//!
//! An upload: `http::routes` asks for the body, which the loop hands over in pieces; `http::multipart` finds the file
//! in it, and [`service::Upload`] takes that, proves it sound by a whole decode, and gives it a name. What every upload
//! is wanted as is made after the answer, from a queue of the index.
//!
//! An image: [`pipeline::run`] decodes the source row by row, a JPEG at the reduced scale that the plan says, and resizes
//! the planned region in linear light as rows come, so that memory does not grow with the source; it filters, turns for
//! display, draws stamps and encodes. Watermarks and texts become stamps before
//! ([`service::Stamps`]), which are kept: the files of watermarks are found with the name of the answer, whose part their
//! states are.

pub mod access;
pub mod cli;
pub mod config;
pub mod http;
pub mod index;
pub mod metrics;
pub mod pipeline;
pub mod plan;
pub mod raster;
pub mod service;
pub mod simd;
pub mod store;
pub mod transform;
