//! URLs of servers, as people write them.

use proptest::prelude::*;

use super::*;

fn reach(urls: &str) -> Result<Reach, Error> {
    Reach::new(urls, &NatsOptions::default(), "test".into(), std::sync::Arc::new(crate::ambient::System))
}

fn escape(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

proptest! {
    #[test]
    fn credentials_are_read_back(user in "\\PC{1,9}", password in any::<String>(), port in 1_u16..) {
        let one = reach(&format!("nats://{}:{}x@host:{port}", escape(&user), escape(&password))).unwrap();
        prop_assert_eq!(one.access.secrets.user.as_deref(), Some(user.as_str()));
        prop_assert_eq!(one.access.secrets.password, Some(password + "x"));
        prop_assert_eq!(one.given.first().map(ToString::to_string), Some(format!("host:{port}")));
    }

    /// Only `%` and two digits is an escape.
    #[test]
    fn what_is_no_escape_stands_for_itself(text in "([a-f0-9]|%[+ g@-][0-9a-f]?){0,5}(%[0-9a-f]?)?") {
        prop_assert_eq!(unescape(&text), text);
    }

    #[test]
    fn escapes_stand_for_their_bytes(text in any::<String>()) {
        prop_assert_eq!(unescape(&escape(&text)), text);
    }

    /// A URL that makes no sense is refused without showing the password, which stands before an `@`.
    #[test]
    fn no_url_panics_or_shows_a_secret(urls in any::<String>(), like in "(nats|tls|ws)?:?/{0,3}[a-z:%,\\[\\]?#]{0,9}") {
        for urls in [format!("{urls}s3cret@{like}"), format!("{like}s3cret@{urls}"), like, urls] {
            if let Err(error) = reach(&urls) {
                prop_assert!(!error.to_string().contains("s3cret"), "{}", error);
            }
        }
    }
}
