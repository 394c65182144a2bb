//! Signatures as the Standard Webhooks specification 1.0 has them: HMAC-SHA256 over `id.timestamp.body`, in
//! base64 behind `v1,`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// What every secret starts with.
const PREFIX: &str = "whsec_";
/// Bytes of a key: the specification's range.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// Signs with each of the secrets in `secrets`, which are separated by white space: during a rotation both the
/// old and the new one are valid.
///
/// # Errors
/// What is wrong with the secret, without the secret.
pub(super) fn sign(
    secrets: &str,
    id: &str,
    at_seconds: i64,
    body: &[u8],
) -> Result<String, &'static str> {
    let signatures: Result<Vec<String>, _> = secrets
        .split_whitespace()
        .map(|secret| one(secret, id, at_seconds, body).map(|it| format!("v1,{it}")))
        .collect();
    let signatures = signatures?;
    match signatures.is_empty() {
        true => Err("it is empty"),
        false => Ok(signatures.join(" ")),
    }
}

fn one(secret: &str, id: &str, at_seconds: i64, body: &[u8]) -> Result<String, &'static str> {
    let encoded = secret
        .strip_prefix(PREFIX)
        .ok_or("it does not start with `whsec_`")?;
    let key = STANDARD
        .decode(encoded)
        .map_err(|_| "what follows `whsec_` is not base64")?;
    if !KEY_BYTES.contains(&key.len()) {
        return Err("its key has not between 24 and 64 bytes");
    }
    let mut mac =
        Hmac::<Sha256>::new_from_slice(&key).map_err(|_| "its key has an unusable length")?;
    mac.update(id.as_bytes());
    mac.update(b".");
    mac.update(at_seconds.to_string().as_bytes());
    mac.update(b".");
    mac.update(body);
    Ok(STANDARD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The specification's own key and message; the second signature was computed apart from this code.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const OTHER: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const AT: i64 = 1_614_265_330;
    const BODY: &[u8] = br#"{"test": 2432232314}"#;

    #[test]
    fn signs_as_the_specification_does() {
        assert_eq!(
            sign(SECRET, ID, AT, BODY).unwrap(),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
        assert_eq!(
            sign(&format!("{SECRET} {OTHER}"), ID, AT, BODY).unwrap(),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE= v1,hK4CWvngkaAwjY1pABLuUbOIkEJjW9tAapq1no4ojG0="
        );
    }

    #[test]
    fn everything_signed_changes_the_signature() {
        let right = sign(SECRET, ID, AT, BODY).unwrap();
        for other in [
            sign(OTHER, ID, AT, BODY),
            sign(SECRET, "msg_other", AT, BODY),
            sign(SECRET, ID, AT + 1, BODY),
            sign(SECRET, ID, AT, b"{}"),
        ] {
            assert_ne!(other.unwrap(), right);
        }
    }

    #[test]
    fn unusable_secrets_are_refused() {
        for wrong in [
            "",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsec_!",
            "whsec_c2hvcnQ=",
        ] {
            assert!(sign(wrong, ID, AT, BODY).is_err(), "{wrong}");
        }
    }
}
