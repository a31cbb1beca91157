//! API keys as their owners have them: made by the command, used to sign.

use std::process::Output;
use std::time::{SystemTime, UNIX_EPOCH};

use ring::{digest, hmac};

use crate::server::{Server, program};
use crate::upload_form::Form;

/// `pixlserv api-key …` with the configuration of the server.
pub(crate) fn api_key(server: &Server, arguments: &[&str]) -> Output {
    let configuration = server.configuration_file();
    program().arg("api-key").arg("--config").arg(configuration).args(arguments).output().unwrap()
}

/// The same, where it has to succeed; gives what it writes.
pub(crate) fn say(server: &Server, arguments: &[&str]) -> String {
    let output = api_key(server, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) name: String,
    pub(crate) secret: String,
}

impl Key {
    /// A new key with both permissions.
    pub(crate) fn add(server: &Server) -> Self {
        let text = say(server, &["add"]);
        let key = Self { name: after(&text, "Key: "), secret: after(&text, "Secret: ") };
        for part in [&key.name, &key.secret] {
            assert!(part.len() == 32 && part.bytes().all(|byte| byte.is_ascii_hexdigit()), "{text}");
        }
        key
    }

    pub(crate) fn upload_target(&self) -> String {
        format!("/{}/upload", self.name)
    }

    pub(crate) fn image_target(&self, rest: &str) -> String {
        format!("/{}/image/{rest}", self.name)
    }

    /// The signature of a message under the secret.
    pub(crate) fn sign(&self, message: &str) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.secret.as_bytes());
        hex(hmac::sign(&key, message.as_bytes()).as_ref())
    }

    /// A form that is signed at a time, as the Go server's clients sign.
    pub(crate) fn signed_form(&self, content: &[u8], timestamp: &str) -> Vec<u8> {
        let signature = self.sign(&format!("timestamp={timestamp}"));
        Form::new().text("timestamp", timestamp).text("signature", &signature).image(content).end()
    }

    /// A form whose signature, made now, covers the file of that digest.
    pub(crate) fn form_for_file(&self, content: &[u8], sha256: &str) -> Vec<u8> {
        let timestamp = seconds_from_now(0);
        let signature = self.sign(&format!("timestamp={timestamp}&sha256={sha256}"));
        let form = Form::new().text("timestamp", &timestamp).text("sha256", sha256);
        form.image(content).text("signature", &signature).end()
    }
}

/// What follows a label on its line.
pub(crate) fn after(text: &str, label: &str) -> String {
    let line = text.lines().find_map(|line| line.strip_prefix(label));
    line.unwrap_or_else(|| panic!("no {label:?}: {text}")).to_owned()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn sha256(content: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, content).as_ref())
}

/// A timestamp.
pub(crate) fn seconds_from_now(seconds: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    (now.cast_signed() + seconds).to_string()
}
