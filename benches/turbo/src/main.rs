//! libjpeg-turbo's decoder at 1/8 of the size. Each line on standard input is an order, `TIMES FILE`; each is answered by a
//! line, milliseconds of wall clock and of CPU for all of them, one after another: `WALL CPU`.

use std::error::Error;
use std::io::BufRead;
use std::time::Instant;

use turbojpeg::{Decompressor, Image, PixelFormat, ScalingFactor};

fn main() -> Result<(), Box<dyn Error>> {
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (times, file) = line.split_once(' ').ok_or("an order is TIMES FILE")?;
        let (times, source) = (times.parse()?, std::fs::read(file)?);
        let (start, cpu) = (Instant::now(), cpu_ms()?);
        for _ in 0..times {
            std::hint::black_box(decode(&source)?);
        }
        let wall = start.elapsed().as_secs_f64() * 1e3;
        println!("{wall} {}", cpu_ms()? - cpu);
    }
    Ok(())
}

/// Rows of RGB at 1/8 of width and height.
fn decode(source: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut decompressor = Decompressor::new()?;
    decompressor.set_scaling_factor(ScalingFactor::ONE_EIGHTH)?;
    let header = decompressor.read_header(source)?.scaled(ScalingFactor::ONE_EIGHTH);
    let pitch = header.width * 3;
    let mut pixels = vec![0; pitch * header.height];
    let (width, height, format) = (header.width, header.height, PixelFormat::RGB);
    decompressor.decompress(source, Image { pixels: &mut pixels[..], width, pitch, height, format })?;
    Ok(pixels)
}

/// CPU that this thread has used.
fn cpu_ms() -> Result<f64, Box<dyn Error>> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let ns: f64 = text.split_ascii_whitespace().next().ok_or("an empty schedstat")?.parse()?;
    Ok(ns / 1e6)
}
