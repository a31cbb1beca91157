//! A server in a sandbox that forbids `openat2`, as systemd's `DynamicUser` and some containers do.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use tempfile::TempDir;

use crate::corpus::say;
use crate::server::{Server, program};
use crate::upload_form::stored_path;

#[test]
fn images_are_served_where_openat2_is_forbidden() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/without_openat2.py");
    let mut sandboxed = Command::new("python3");
    sandboxed.arg("-B").arg(&script);
    if !sandboxed.arg("true").status().is_ok_and(|status| status.success()) {
        return say("skipped: python3 cannot set a filter of calls, so nothing is known of sandboxes");
    }
    let directory = Arc::new(TempDir::new().unwrap());
    let images = directory.path().join("images");
    std::fs::create_dir_all(images.join("below")).unwrap();
    std::fs::write(images.join("below/photo.jpg"), crate::pictures::jpeg(64, 48)).unwrap();
    std::fs::write(directory.path().join("secret.jpg"), crate::pictures::jpeg(64, 48)).unwrap();
    symlink("below/photo.jpg", images.join("inside.jpg")).unwrap();
    symlink("../secret.jpg", images.join("outside.jpg")).unwrap();

    let plain = program();
    let mut command = Command::new("python3");
    command.arg("-B").arg(script).arg(plain.get_program());
    for (name, _) in plain.get_envs() {
        command.env_remove(name);
    }
    let server = Server::start_as(command, directory, &images, "");
    let target = "/image/w_20/below/photo.jpg";
    for _ in 0..3 {
        assert_eq!(server.get(target).status, 200, "{}", server.log());
    }
    for wrong in ["inside.jpg", "outside.jpg", "below", "none.jpg", "..%2fsecret.jpg", "below/..%2f..%2fsecret.jpg"] {
        let status = server.get(&format!("/image/w_20/{wrong}")).status;
        assert!([400, 404].contains(&status), "{wrong}: {status}");
    }
    let uploaded = stored_path(&server, &crate::pictures::noise(30, 30));
    assert_eq!(server.get(&format!("/image/w_20/{uploaded}")).status, 200);
    assert_eq!(server.get("/ready").status, 200);
    assert_eq!(server.log().matches("openat2 is not allowed here").count(), 1, "{}", server.log());
}
