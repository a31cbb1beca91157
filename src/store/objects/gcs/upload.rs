//! The body of an upload: what is known of the object, then its content (Cloud Storage, "Multipart uploads").

use std::io::{self, Read};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::json;

use super::super::{Content, ObjectError};

/// A body, to be sent once.
pub(super) struct Upload {
    pub(super) content_type: String,
    pub(super) n_bytes: u64,
    pub(super) reader: Box<dyn Read>,
}

impl Upload {
    pub(super) fn new(name: &str, content: &Content, md5: &[u8; 16], content_type: &str) -> Result<Self, ObjectError> {
        let boundary = boundary()?;
        // What is no header would end its line.
        let is_header = !content_type.is_empty() && content_type.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        let content_type = if is_header { content_type } else { "application/octet-stream" };
        let metadata = json!({"name": name, "contentType": content_type, "md5Hash": STANDARD.encode(md5)});
        let before = format!(
            "--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{metadata}\r\n\
             --{boundary}\r\nContent-Type: {content_type}\r\n\r\n"
        );
        let after = format!("\r\n--{boundary}--\r\n");
        let n_bytes = before.len() as u64 + content.n_bytes() + after.len() as u64;
        let reader = io::Cursor::new(before).chain(content.reader()).chain(io::Cursor::new(after));
        let content_type = format!("multipart/related; boundary={boundary}");
        Ok(Self { content_type, n_bytes, reader: Box::new(reader) })
    }
}

/// No content has 128 random bits by accident.
fn boundary() -> Result<String, ObjectError> {
    let mut random = [0; 16];
    let no_random = |_| ObjectError::Failed("the system gives no random numbers".to_owned());
    SystemRandom::new().fill(&mut random).map_err(no_random)?;
    Ok(format!("{:032x}", u128::from_be_bytes(random)))
}
