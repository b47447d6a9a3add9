//! The bounds of what waits to be written.

use super::*;

fn line(number: usize, since: Moment) -> Line {
    Line { key: format!("lock.{number}"), text: Bytes::new(), since }
}

#[test]
fn the_oldest_is_left_out_and_writers_are_few() {
    let (chronicler, now) = (Chronicler::default(), Moment::from_nanos(1));
    let writers = (0..MOST + 3).filter(|number| chronicler.put(line(*number, now))).count();
    assert_eq!(writers, WRITERS);
    assert!(locked(&chronicler.desk).overflowed, "it is said once");
    let mut written = chronicler.next(None, now);
    assert_eq!(written.as_ref().map(|line| line.key.as_str()), Some("lock.3"));
    let mut count = 0;
    while written.is_some() {
        (count, written) = (count + 1, chronicler.next(written, now));
    }
    assert_eq!(count, MOST);
    assert_eq!(locked(&chronicler.desk).writers, WRITERS - 1, "who finds nothing goes home");
    assert!(locked(&chronicler.desk).busy.is_empty());
    assert!(chronicler.put(line(0, now)), "and the next line calls for one");
}

#[test]
fn lines_of_one_key_are_written_one_after_the_other() {
    let (chronicler, now) = (Chronicler::default(), Moment::from_nanos(1));
    for number in [1, 1, 2, 1] {
        chronicler.put(line(number, now));
    }
    let key = |line: &Option<Line>| line.as_ref().map(|line| line.key.clone());
    let (one, two) = (chronicler.next(None, now), chronicler.next(None, now));
    assert_eq!((key(&one), key(&two)), (Some("lock.1".into()), Some("lock.2".into())));
    assert!(chronicler.next(two, now).is_none(), "the others wait for the first");
    let one = chronicler.next(one, now);
    assert_eq!(key(&one), Some("lock.1".into()));
    let one = chronicler.next(one, now);
    assert_eq!(key(&one), Some("lock.1".into()));
    assert!(chronicler.next(one, now).is_none());
}

#[test]
fn what_waited_too_long_is_left_out() {
    let (chronicler, then) = (Chronicler::default(), Moment::from_nanos(1));
    let now = then + PATIENCE + Duration::from_millis(1);
    for number in 0..10 {
        chronicler.put(line(number, then));
    }
    chronicler.put(line(10, now));
    assert_eq!(chronicler.next(None, now).map(|line| line.key), Some("lock.10".into()));
    assert!(chronicler.next(None, now).is_none());
}

#[test]
fn a_long_reason_is_cut_between_two_characters() {
    let long = format!("x{}", "ü".repeat(REASON));
    let kept = reason(&Loss::Broken(long.clone())).expect("a reason");
    assert!(long.starts_with(&kept) && kept.len() == REASON - 1, "{}", kept.len());
    assert_eq!(reason(&Loss::Broken(String::new())), Some(String::new()));
    assert_eq!(reason(&Loss::Expired), None);
}

#[test]
fn words_are_those_of_records() {
    assert_eq!(
        [End::Released, End::ClientGone, End::HandedOver].map(word),
        ["released", "client-gone", "handed-over"]
    );
}
