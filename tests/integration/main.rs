//! The running server, seen from outside: the real program on a free port, raw sockets, temporary directories.
//! And what needs no server but whole pictures: formats, quality; and the order of the rooms.
#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its ground has to stop there")]

mod abuse;
mod answer_headers;
mod api_keys;
mod architecture;
mod behind_nginx;
mod cache_command;
mod cache_fill;
mod client;
mod command;
mod conditional;
mod corpus;
mod cors;
mod crash;
mod disk_full;
mod eager;
mod eviction;
mod formats;
mod keys;
mod methods;
mod nginx;
mod overlay_changes;
mod overlay_equality;
mod overlay_errors;
mod overlay_memory;
mod overlay_texts;
mod overlays;
mod parameters;
mod pictures;
mod purge;
mod python;
mod quality;
mod redis;
mod redis_access;
mod redis_server;
mod server;
mod serving;
mod shelf;
mod shutdown;
mod siege;
mod signatures;
mod slow_clients;
mod throttle;
#[cfg(feature = "tiny_http")]
mod tiny;
mod traversal;
mod upload_form;
mod upload_memory;
mod upload_mutations;
mod upload_refusals;
mod upload_storm;
mod uploads;
