//! The token address: takes what a service account says of itself, if it is signed and timely, and gives out tokens.
//! Refusals are worded as Google's.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::{Value, json};

use super::wire::{Request, Response, header};

const SCOPE: &str = "https://www.googleapis.com/auth/devstorage.read_write";
const MAX_SKEW_SECONDS: u64 = 5 * 60;

pub(crate) struct Tokens {
    /// The account that there is, and its public key (PKCS#1).
    pub(crate) issuer: String,
    pub(crate) public_key: Vec<u8>,
    /// What `aud` has to be.
    pub(crate) audience: String,
    pub(crate) life_ms: AtomicU64,
    /// By how many seconds this server's clock is ahead.
    pub(crate) ahead_seconds: AtomicI64,
    /// A status that is answered instead of tokens; 0 for none.
    pub(crate) failing_status: AtomicU64,
    pub(crate) n_asked: AtomicUsize,
    valid: Mutex<HashMap<String, Instant>>,
}

impl Tokens {
    pub(crate) fn new(issuer: &str, public_key: Vec<u8>, audience: String) -> Self {
        Self {
            issuer: issuer.to_owned(),
            public_key,
            audience,
            life_ms: AtomicU64::new(3_600_000),
            ahead_seconds: AtomicI64::new(0),
            failing_status: AtomicU64::new(0),
            n_asked: AtomicUsize::new(0),
            valid: Mutex::default(),
        }
    }

    /// The time by this server's clock.
    pub(crate) fn now(&self) -> SystemTime {
        let ahead = self.ahead_seconds.load(Ordering::Relaxed);
        let off = Duration::from_secs(ahead.unsigned_abs());
        if ahead < 0 { SystemTime::now() - off } else { SystemTime::now() + off }
    }

    /// No token that was given out is taken any longer.
    pub(crate) fn revoke(&self) {
        self.valid.lock().unwrap().clear();
    }

    pub(crate) fn has_given(&self, request: &Request) -> bool {
        let token = header(&request.headers, "authorization").and_then(|value| value.strip_prefix("Bearer "));
        let valid = self.valid.lock().unwrap();
        token.and_then(|token| valid.get(token)).is_some_and(|end| *end > Instant::now())
    }

    pub(crate) fn answer(&self, request: &Request) -> Response {
        self.n_asked.fetch_add(1, Ordering::Relaxed);
        let failing = self.failing_status.load(Ordering::Relaxed);
        if failing != 0 {
            return Response::new(u16::try_from(failing).unwrap(), "text/html", "<html>An error</html>");
        }
        match self.check(request) {
            Err((error, description)) => {
                Response::json(400, &json!({"error": error, "error_description": description}))
            }
            Ok(()) => {
                let life = Duration::from_millis(self.life_ms.load(Ordering::Relaxed));
                let token = random_token();
                let end = Instant::now() + life;
                self.valid.lock().unwrap().insert(token.clone(), end);
                let answer = json!({"access_token": token, "expires_in": life.as_secs(), "token_type": "Bearer"});
                Response::json(200, &answer)
            }
        }
    }

    fn check(&self, request: &Request) -> Result<(), (&'static str, String)> {
        let invalid = |description: &str| ("invalid_grant", description.to_owned());
        let body = String::from_utf8_lossy(&request.body).into_owned();
        let fields: HashMap<&str, &str> = body.split('&').filter_map(|pair| pair.split_once('=')).collect();
        let is_form = header(&request.headers, "content-type") == Some("application/x-www-form-urlencoded");
        if !is_form || fields.get("grant_type") != Some(&"urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer") {
            return Err(("unsupported_grant_type", format!("Invalid grant_type: {}", fields["grant_type"])));
        }
        let (signed, signature) = fields["assertion"].rsplit_once('.').ok_or_else(|| invalid("Bad Request"))?;
        let (head, claims) = signed.split_once('.').ok_or_else(|| invalid("Bad Request"))?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| invalid("Bad Request"));
        let parse = |part| Ok(serde_json::from_slice::<Value>(&decode(part)?).unwrap());
        let (head, claims) = (parse(head)?, parse(claims)?);
        if head != json!({"alg": "RS256", "typ": "JWT"}) {
            return Err(invalid("Invalid JWT: unknown algorithm"));
        }
        if claims["iss"] != *self.issuer {
            return Err(invalid("Invalid grant: account not found"));
        }
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.public_key)
            .verify(signed.as_bytes(), &decode(signature)?)
            .map_err(|_| invalid("Invalid JWT Signature."))?;
        if claims["aud"] != *self.audience {
            return Err(invalid("Invalid JWT: Failed audience check."));
        }
        let now = self.now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let (issued, ends) = (claims["iat"].as_u64().unwrap(), claims["exp"].as_u64().unwrap());
        if issued.abs_diff(now) > MAX_SKEW_SECONDS || ends <= issued || ends - issued > 3600 {
            return Err(invalid(
                "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. \
                 Check your iat and exp values in the JWT claim.",
            ));
        }
        if claims["scope"] != SCOPE {
            return Err(("invalid_scope", "Invalid OAuth scope or ID token audience provided.".to_owned()));
        }
        Ok(())
    }
}

fn random_token() -> String {
    let mut random = [0; 24];
    SystemRandom::new().fill(&mut random).unwrap();
    format!("ya29.{}", STANDARD.encode(random))
}
