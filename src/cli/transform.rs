//! `pixlserv transform`: the pipeline of the server, without a server.

use std::io::Read;
use std::path::{Path, PathBuf};

use argh::FromArgs;

use crate::config::{Config, Environment};
use crate::pipeline::{self, Limits, codec};
use crate::plan::Plan;
use crate::service::{MarkFiles, Stamps};
use crate::transform::{Catalog, Rules, Spec, Task};

use super::{STANDARD_STREAM, describe, index, level, say, storage};

/// Transform one image without a server.
#[derive(FromArgs)]
#[argh(subcommand, name = "transform")]
pub(super) struct Arguments {
    /// as in a URL: w_400,h_300,c_p,g_c or t_NAME
    #[argh(positional)]
    parameters: String,

    /// image to read; "-" is standard input
    #[argh(positional, arg_name = "in")]
    input: PathBuf,

    /// file to write; "-" is standard output
    #[argh(positional, arg_name = "out")]
    output: PathBuf,

    /// configuration that quality, limits and named transformations are taken from
    #[argh(option)]
    config: Option<PathBuf>,

    /// as @Nx in a URL (default 1)
    #[argh(option, default = "1")]
    scale: u32,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), String> {
    let config = match &arguments.config {
        Some(path) => Config::load(path, &Environment::of_process()).map_err(|error| describe(&error))?,
        None => Config::default(),
    };
    // The operator at the command line may do what clients may not.
    let rules = Rules { allow_custom: true, allow_scale: true, allow_originals: true, ..config.catalog.rules };
    let catalog = Catalog { named: config.catalog.named.clone(), rules };
    let source = read(&arguments.input)?;
    let encoded = transform(arguments, &catalog, &config, &source)?;
    write(&arguments.output, &encoded)
}

fn transform(arguments: &Arguments, catalog: &Catalog, config: &Config, source: &[u8]) -> Result<Vec<u8>, String> {
    let spec: Spec = arguments.parameters.parse().map_err(|error| describe(&error))?;
    let (transformation, scale) = match catalog.resolve(&spec, arguments.scale).map_err(|error| describe(&error))? {
        Task::Original => return Ok(source.to_vec()),
        Task::Transform(transformation, scale) => (transformation, scale),
    };
    let limits = Limits { max_source_pixels: config.max_source_pixels };
    let header = codec::probe(source, limits).map_err(|error| describe(&error))?;
    let plan = Plan::new(&transformation, scale, &header, config.jpeg, catalog.rules.max_output_side)
        .map_err(|error| describe(&error))?;
    let level = level()?;
    if plan.stamps.is_empty() {
        let drawn = pipeline::run(level, source, &plan, pipeline::no_stamps);
        return Ok(drawn.map_err(|error| describe(&error))?.bytes);
    }
    let bucket = storage::bucket(config)?;
    let storage = match bucket {
        None => storage::local(config)?,
        Some(objects) => storage::in_bucket(config, &objects, &index::open(config)?)?,
    };
    let stamps = Stamps::new(0);
    let gathered = stamps.gather(&mut MarkFiles::new(&*storage, limits), &transformation, scale, &plan);
    let mut gathered = gathered.map_err(|error| describe(&error))?;
    let drawn = pipeline::run(level, source, &plan, |number| stamps.make(level, &mut gathered, number));
    Ok(drawn.map_err(|error| describe(&error))?.bytes)
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    if path == Path::new(STANDARD_STREAM) {
        let mut source = Vec::new();
        std::io::stdin().read_to_end(&mut source).map_err(|error| format!("cannot read standard input: {error}"))?;
        return Ok(source);
    }
    std::fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

/// The file appears whole or not at all: an existing one is not lost when writing fails.
fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    if path == Path::new(STANDARD_STREAM) {
        return say(bytes);
    }
    let cannot = |error| format!("cannot write {}: {error}", path.display());
    // Devices and pipes are written to; a link stays one, and its target is replaced.
    let target = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    if target.exists() && !target.is_file() {
        return std::fs::write(&target, bytes).map_err(cannot);
    }
    let path = target.as_path();
    let mut name = path.file_name().ok_or_else(|| format!("{} is no file name", path.display()))?.to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    let written = std::fs::write(&temporary, bytes).and_then(|()| std::fs::rename(&temporary, path));
    written.map_err(|error| {
        // The first failure is the one to tell.
        let _ = std::fs::remove_file(&temporary);
        cannot(error)
    })
}
