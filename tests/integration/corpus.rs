//! Material that lies outside of the repository: the picture corpus and the recorded answers of the Go server.

use std::io::Write;
use std::path::{Path, PathBuf};

/// The picture corpus: `PIXLSERV_CORPUS`, else `../shared/corpus`.
pub(crate) fn folder() -> Option<PathBuf> {
    found("PIXLSERV_CORPUS", "corpus", "INDEX.csv")
}

/// The recorded answers: `PIXLSERV_ORACLE`, else `../shared/oracle`.
pub(crate) fn oracle() -> Option<PathBuf> {
    found("PIXLSERV_ORACLE", "oracle", "cases.json")
}

/// The same where watermarks and texts are among them.
pub(crate) fn oracle_with_overlays() -> Option<PathBuf> {
    found("PIXLSERV_ORACLE", "oracle", "overlays.json")
}

/// The folder, or a visible line that what needs it is skipped.
fn found(variable: &str, default: &str, proof: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = std::env::var_os(variable).map_or_else(|| root.join("../shared").join(default), PathBuf::from);
    if path.join(proof).is_file() {
        return Some(path);
    }
    say(&format!("skipped: there is no {proof} in {}, set {variable}", path.display()));
    None
}

/// Past the test harness, which would keep the line to itself.
pub(crate) fn say(line: &str) {
    std::io::stderr().write_all(format!("{line}\n").as_bytes()).unwrap();
}
