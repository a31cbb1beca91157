//! Signatures of uploads: HMAC-SHA256 (RFC 2104) under the secret of a key. The original's covers the time alone, so
//! that it can be used again while that is fresh; one that covers the SHA-256 of the file, too, is good for that file
//! only.

use ring::hmac;

/// Seconds that a timestamp may be old.
const MAX_AGE_S: u64 = 300;
/// Seconds that it may be ahead of our clock.
const MAX_AHEAD_S: u64 = 60;

/// SHA-256 of a file.
pub type FileDigest = [u8; 32];

/// What comes with a signed upload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proof {
    /// Seconds since 1970, as digits.
    pub timestamp: Option<String>,
    /// Lowercase hexadecimal digits.
    pub signature: Option<String>,
    /// The digest of the file that the signature covers; lowercase hexadecimal digits.
    pub sha256: Option<String>,
}

/// Why an upload is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// None, no number, too old, or ahead of our clock.
    #[error("invalid timestamp")]
    Timestamp,
    /// None, or not one of this key.
    #[error("invalid signature")]
    Signature,
    /// It covers the time alone, and that is not enough here.
    #[error("invalid signature: it must cover the file, by the field sha256")]
    FileNotCovered,
    /// The digest that was signed is another file's.
    #[error("invalid sha256: the file has another")]
    OtherFile,
}

impl Proof {
    /// Believes the proof at the time `now_s`, in seconds since 1970, or not. `file` is the digest of what was
    /// uploaded.
    /// # Errors
    /// If time, signature or file are wrong. An empty secret signs nothing.
    pub fn verify(
        &self,
        secret: &str,
        now_s: u64,
        file: &FileDigest,
        must_cover_file: bool,
    ) -> Result<(), SignatureError> {
        let timestamp = self.timestamp.as_deref().filter(|text| is_fresh(text, now_s));
        let timestamp = timestamp.ok_or(SignatureError::Timestamp)?;
        let message = match &self.sha256 {
            Some(sha256) => format!("timestamp={timestamp}&sha256={sha256}"),
            None if must_cover_file => return Err(SignatureError::FileNotCovered),
            None => format!("timestamp={timestamp}"),
        };
        let signature = self.signature.as_deref().and_then(parse_digest).ok_or(SignatureError::Signature)?;
        if secret.is_empty() {
            return Err(SignatureError::Signature);
        }
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        // Takes the same time wherever they differ.
        hmac::verify(&key, message.as_bytes(), &signature).map_err(|_| SignatureError::Signature)?;
        match &self.sha256 {
            Some(sha256) if parse_digest(sha256).as_ref() != Some(file) => Err(SignatureError::OtherFile),
            _ => Ok(()),
        }
    }
}

/// Whether a timestamp is one, and of about now.
fn is_fresh(text: &str, now_s: u64) -> bool {
    let is_number = (1..=12).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let at = text.parse::<u64>().ok().filter(|_| is_number);
    at.is_some_and(|at| now_s.saturating_sub(at) <= MAX_AGE_S && at.saturating_sub(now_s) <= MAX_AHEAD_S)
}

/// 64 lowercase hexadecimal digits.
fn parse_digest(text: &str) -> Option<FileDigest> {
    let is_hex = text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if !is_hex {
        return None;
    }
    let mut digest = [0; 32];
    for (byte, digits) in digest.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: FileDigest = [0xab; 32];
    const NOW: u64 = 1_795_451_763;
    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn sign(secret: &str, message: &str) -> String {
        hex(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), message.as_bytes()).as_ref())
    }

    fn signed(timestamp: &str) -> Proof {
        let signature = sign(SECRET, &format!("timestamp={timestamp}"));
        Proof { timestamp: Some(timestamp.to_owned()), signature: Some(signature), sha256: None }
    }

    fn verify(proof: &Proof) -> Result<(), SignatureError> {
        proof.verify(SECRET, NOW, &FILE, false)
    }

    #[test]
    fn the_signature_of_openssl_is_ours() {
        // printf 'timestamp=1795451763' | openssl dgst -sha256 -hmac 0123456789abcdef0123456789abcdef
        let expected = "e2124521ffea02ee7d2de10c870eb0ef00a3319a810819c60a604a8c9ff2c0a1";
        assert_eq!(signed("1795451763").signature.as_deref(), Some(expected));
    }

    #[test]
    fn times_are_fresh_or_refused() {
        for (offset, expected) in [(0, true), (-300, true), (-301, false), (60, true), (61, false)] {
            let timestamp = (NOW.cast_signed() + offset).to_string();
            assert_eq!(verify(&signed(&timestamp)).is_ok(), expected, "{offset}");
        }
        for bad in ["", "x", "-1", "+1795451763", "1795451763.0", " 1795451763", "0x6b", "9223372036854775808"] {
            assert_eq!(verify(&signed(bad)), Err(SignatureError::Timestamp), "{bad:?}");
        }
        assert_eq!(verify(&Proof { timestamp: None, ..signed("1795451763") }), Err(SignatureError::Timestamp));
        // The text is what is signed, zeros and all.
        assert_eq!(verify(&signed("01795451763")), Ok(()));
    }

    #[test]
    fn every_bit_of_a_signature_counts() {
        let good = signed(&NOW.to_string());
        let text = good.signature.clone().unwrap();
        let bytes = parse_digest(&text).unwrap();
        let with = |signature: String| verify(&Proof { signature: Some(signature), ..good.clone() });
        assert_eq!(with(text.clone()), Ok(()));
        for bit in 0..256 {
            let mut wrong = bytes;
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(with(hex(&wrong)), Err(SignatureError::Signature), "bit {bit}");
        }
        let other = sign("another secret", &format!("timestamp={NOW}"));
        for wrong in
            [text.to_uppercase(), text[1..].to_owned(), format!("{text}0"), String::new(), "é".repeat(32), other]
        {
            assert_eq!(with(wrong.clone()), Err(SignatureError::Signature), "{wrong:?}");
        }
        assert_eq!(verify(&Proof { signature: None, ..good.clone() }), Err(SignatureError::Signature));
        let unsigned = Proof { signature: Some(sign("", &format!("timestamp={NOW}"))), ..good };
        assert_eq!(unsigned.verify("", NOW, &FILE, false), Err(SignatureError::Signature), "no secret, no signature");
    }

    #[test]
    fn a_signature_may_cover_the_file() {
        let file = hex(&FILE);
        let covering = |sha256: &str| {
            let signature = sign(SECRET, &format!("timestamp={NOW}&sha256={sha256}"));
            Proof { timestamp: Some(NOW.to_string()), signature: Some(signature), sha256: Some(sha256.to_owned()) }
        };
        let strictly = |proof: &Proof| proof.verify(SECRET, NOW, &FILE, true);
        assert_eq!(strictly(&covering(&file)), Ok(()));
        assert_eq!(verify(&covering(&file)), Ok(()));
        for other in [hex(&[8; 32]), file.to_uppercase(), String::new()] {
            assert_eq!(verify(&covering(&other)), Err(SignatureError::OtherFile), "{other}");
        }
        let plain = signed(&NOW.to_string());
        assert_eq!(strictly(&plain), Err(SignatureError::FileNotCovered));
        let moved = Proof { sha256: Some(file), ..plain };
        assert_eq!(verify(&moved), Err(SignatureError::Signature), "what is not signed does not count");
    }
}
