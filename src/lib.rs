//! pixlserv transforms, caches and serves images over HTTP.

pub mod plan;
pub mod raster;
pub mod transform;
