//! Names and filters against an oracle written from the contract's sentence.

use proptest::collection::vec;
use proptest::prelude::*;

use super::{Filter, Name};
use crate::fuzzing;

/// A token of a name.
const TOKEN: &str = "[A-Za-z0-9=/_-]{1,9}";

proptest! {
    #[test]
    fn what_is_made_of_good_tokens_is_a_name_up_to_200(tokens in vec(TOKEN, 1..60)) {
        let text = tokens.join(".");
        prop_assert_eq!(Name::new(text.as_str()).is_ok(), text.len() <= 200);
        fuzzing::name(text.as_bytes());
    }

    /// One character that is not allowed is one too many, wherever it stands.
    #[test]
    fn one_bad_character_is_refused(name in "[a-z]{1,9}", at in any::<prop::sample::Index>(), bad in any::<char>()) {
        let mut text = name.clone();
        text.insert(at.index(name.len()), bad);
        let good = bad.is_ascii_alphanumeric() || "-_=/".contains(bad) || (bad == '.' && !text.starts_with('.'));
        prop_assert_eq!(Name::new(text).is_ok(), good);
    }

    #[test]
    fn whatever_is_given_it_agrees_with_the_contract(
        text in any::<String>(),
        like in "[a-cA-C0-2.=/_* >-]{0,12}",
        long in "[a-z.]{190,210}",
    ) {
        for text in [text, like, long] {
            fuzzing::name(text.as_bytes());
        }
    }

    #[test]
    fn filters_select_as_nats_subjects_do(filter in "[ab*>]{1,2}(\\.[ab*>]{1,2}){0,3}", names in vec("[ab](\\.[ab]){0,3}", 1..5)) {
        fuzzing::name(format!("{filter}\n{}", names.join("\n")).as_bytes());
    }

    #[test]
    fn every_name_is_selected_by_itself_and_by_the_filter_of_all(tokens in vec(TOKEN, 1..6), star in any::<prop::sample::Index>()) {
        let name = tokens.join(".");
        let mut wild = tokens.clone();
        wild[star.index(tokens.len())] = "*".into();
        for filter in [name.clone(), wild.join("."), ">".to_owned()] {
            let filter = Filter::new(filter).unwrap();
            prop_assert!(super::matches(filter.as_str(), &name), "{:?} over {}", filter, name);
        }
        prop_assert!(super::matches(Filter::all().as_str(), &name));
    }
}
