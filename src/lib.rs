//! pixlserv transforms, caches and serves images over HTTP.

pub mod pipeline;
pub mod plan;
pub mod raster;
pub mod service;
pub mod store;
pub mod transform;
