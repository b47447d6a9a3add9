//! What a connection that came to nothing means, and what is said of it. Pure: texts in, errors out.

use std::fmt::Display;

use super::nats_options::NatsTls;
use crate::error::Error;

/// How an attempt to connect failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The server knows nobody of these credentials.
    Credentials,
    /// TLS cannot be spoken with what is here.
    Tls,
    /// Anything else.
    Other,
}

/// The error for `why`, the words of whoever noticed.
///
/// What a server (or this side, of a server's certificate) says no to is [`Error::Denied`], naming what was refused and by
/// whom; what another try may mend is [`Error::Unreachable`].
pub(super) fn refusal(kind: Kind, server: &dyn Display, who: &str, tls: &NatsTls, why: &str) -> Error {
    if kind == Kind::Credentials {
        return Error::Denied(format!("{server} does not let in {who}: {}", words(why)));
    }
    if let Some((_, why)) = why.split_once("invalid peer certificate: ") {
        let ca = tls.ca_file.as_ref().map_or_else(
            || "the system's authorities (name another with a CA file)".to_owned(),
            |file| file.display().to_string(),
        );
        return Error::Denied(format!(
            "the TLS certificate of {server} is not accepted: {why}; it must be valid by {ca} and name that host"
        ));
    }
    if let Some((_, alert)) = why.split_once("received fatal alert: ") {
        let shown = tls.cert_file.as_ref().map_or_else(
            || "this client, which shows no TLS certificate: give one with its key".to_owned(),
            |file| format!("the TLS certificate of {}", file.display()),
        );
        return Error::Denied(format!("{server} refuses {shown} (TLS alert {alert})"));
    }
    if why.contains("received corrupt message") {
        return Error::Denied(format!(
            "{server} does not speak TLS, or not from the start (handshake_first), and nothing is sent without: {why}"
        ));
    }
    if kind == Kind::Tls {
        return Error::Denied(format!("no TLS with {server}: {why}"));
    }
    Error::Unreachable(format!("{server}: {why}"))
}

/// The server's own words, without what the client puts before them.
fn words(why: &str) -> &str {
    why.rsplit("nats: ").next().unwrap_or(why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(kind: Kind, tls: &NatsTls, why: &str) -> Error {
        refusal(kind, &"n:4222", "user \"alice\"", tls, why)
    }

    #[test]
    fn who_was_refused_and_by_whom() {
        let none = NatsTls::default();
        let shown =
            NatsTls { cert_file: Some("/c.pem".into()), ca_file: Some("/ca.pem".into()), ..none.clone() };
        for (kind, tls, why, words) in [
            (
                Kind::Credentials,
                &none,
                "authorization violation: nats: authorization violation",
                "n:4222 does not let in user \"alice\": authorization violation",
            ),
            (Kind::Other, &shown, "IO error: invalid peer certificate: UnknownIssuer", "valid by /ca.pem"),
            (
                Kind::Other,
                &none,
                "IO error: invalid peer certificate: UnknownIssuer",
                "the system's authorities",
            ),
            (
                Kind::Other,
                &none,
                "IO error: received fatal alert: CertificateRequired",
                "shows no TLS certificate",
            ),
            (Kind::Other, &shown, "IO error: received fatal alert: BadCertificate", "certificate of /c.pem"),
            (Kind::Other, &shown, "IO error: received corrupt message of type X", "does not speak TLS"),
            (Kind::Tls, &shown, "TLS error: could not add certificate or key", "no TLS with n:4222"),
        ] {
            let error = said(kind, tls, why);
            assert!(matches!(&error, Error::Denied(text) if text.contains(words)), "{error}");
        }
        assert_eq!(
            said(Kind::Other, &none, "IO error: broken pipe"),
            Error::Unreachable("n:4222: IO error: broken pipe".into())
        );
    }
}
