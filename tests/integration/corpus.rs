//! Where the picture corpus is: `PIXLSERV_CORPUS`, else `../shared/corpus`.

use std::path::{Path, PathBuf};

/// The corpus, or a visible line that its tests are skipped.
pub(crate) fn folder() -> Option<PathBuf> {
    let named = std::env::var_os("PIXLSERV_CORPUS").map(PathBuf::from);
    let folder = named.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus"));
    if folder.join("INDEX.csv").is_file() {
        return Some(folder);
    }
    println!("skipped: there is no picture corpus at {}", folder.display());
    None
}
