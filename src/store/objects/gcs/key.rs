//! The private key of a service account, from the many forms in which it reaches a variable.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::error::KeyRejected;
use ring::signature::RsaKeyPair;

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// The first private key of a PEM file, in PKCS#8 or PKCS#1. Its lines may end in `\n` spelled out, as in the JSON file
/// of a service account, or have become one; other text may be around it, as `openssl pkcs12` writes.
/// # Errors
/// A sentence about `GCS_KEY` that shows nothing of it.
pub(super) fn parse(text: &str) -> Result<RsaKeyPair, String> {
    let text = text.replace("\\r", "").replace("\\n", "\n");
    let mut rest = text.as_str();
    while let Some((label, body, after)) = next_section(rest)? {
        rest = after;
        let read: fn(&[u8]) -> Result<RsaKeyPair, KeyRejected> = match label {
            "PRIVATE KEY" => RsaKeyPair::from_pkcs8,
            "RSA PRIVATE KEY" => RsaKeyPair::from_der,
            "ENCRYPTED PRIVATE KEY" => return Err(encrypted()),
            other if other.ends_with("PRIVATE KEY") => return Err("GCS_KEY is not a key of RSA".to_owned()),
            // Certificates and the like.
            _ => continue,
        };
        // RFC 1421: `Proc-Type: 4,ENCRYPTED` before the base64.
        if body.contains("Proc-Type:") {
            return Err(encrypted());
        }
        let body: Vec<u8> = body.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        let der = STANDARD.decode(body).map_err(|_| "GCS_KEY is damaged: not base64 between its lines".to_owned())?;
        return read(&der).map_err(|error| rejected(&error.to_string()));
    }
    Err("GCS_KEY has no private key in PEM: nothing like -----BEGIN PRIVATE KEY-----".to_owned())
}

/// Label and body of the next section of PEM (RFC 7468), and what follows.
fn next_section(text: &str) -> Result<Option<(&str, &str, &str)>, String> {
    let Some((_, begun)) = text.split_once(BEGIN) else { return Ok(None) };
    let cut = || "GCS_KEY is cut off: it has -----BEGIN and no -----END".to_owned();
    let (label, begun) = begun.split_once(DASHES).ok_or_else(cut)?;
    let (body, after) = begun.split_once(END).ok_or_else(cut)?;
    Ok(Some((label, body, after)))
}

fn encrypted() -> String {
    "GCS_KEY is encrypted: write it without a password (openssl pkcs12 -nodes, openssl pkey -in key.pem)".to_owned()
}

/// `reason` is what ring says, such as "`TooSmall`".
fn rejected(reason: &str) -> String {
    match reason {
        "TooSmall" => "GCS_KEY is too small: it needs 2,048 bits or more".to_owned(),
        "TooLarge" => "GCS_KEY is too large: it may have 4,096 bits".to_owned(),
        "WrongAlgorithm" => "GCS_KEY is not a key of RSA".to_owned(),
        reason => format!("GCS_KEY is damaged: {reason}"),
    }
}
