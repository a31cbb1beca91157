//! Stamps: what is drawn over a finished picture.

pub mod blend;
