use super::*;
use crate::site;

fn changed(changes: &[Change]) -> Source {
    Source::Changed(changes.iter().collect())
}

#[test]
fn a_draw_depends_on_seed_site_entity_and_counter_alone() {
    let mut all = Choices::from_seed(7);
    let mut one = Choices::from_seed(7);
    let with: Vec<u64> = (0..100)
        .map(|_| {
            all.choose(site!("a"), 2, 1000);
            all.choose(site!("b"), 1, 1000);
            all.choose(site!("a"), 1, 1000)
        })
        .collect();
    let without: Vec<u64> = (0..100).map(|_| one.choose(site!("a"), 1, 1000)).collect();
    assert_eq!(with, without);
    let mut other = Choices::from_seed(8);
    let differs: Vec<u64> = (0..100).map(|_| other.choose(site!("a"), 1, 1000)).collect();
    assert_ne!(with, differs);
}

#[test]
fn a_recording_replays_and_can_be_changed() {
    let mut first = Choices::from_seed(3);
    first.record();
    let drawn: Vec<u64> = (0..50).map(|e| first.choose(site!("x"), e % 5, 100)).collect();
    let mut record: Vec<Change> = first.take_record().iter().map(Change::keeping).collect();
    let mut again = Choices::new(999, changed(&record));
    let replayed: Vec<u64> = (0..50).map(|e| again.choose(site!("x"), e % 5, 100)).collect();
    assert_eq!(drawn, replayed);
    record[7].value = (record[7].value + 1) % 100;
    let mut moved = Choices::new(3, changed(&record));
    let moved: Vec<u64> = (0..50).map(|e| moved.choose(site!("x"), e % 5, 100)).collect();
    assert_eq!(drawn.iter().zip(&moved).filter(|(a, b)| a != b).count(), 1);
}

#[test]
fn the_narrower_of_two_changes_counts() {
    let changes = [
        Change::new("x", What::All, 1),
        Change::new("x", What::Entity(4), 2),
        Change::new("x", What::One(4, 1), 3),
        Change::omitting("client", 9),
    ];
    let mut choices = Choices::new(1, changed(&changes));
    assert_eq!(choices.choose(site!("x"), 7, 10), 1);
    assert_eq!(choices.choose(site!("x"), 4, 10), 2);
    assert_eq!(choices.choose(site!("x"), 4, 10), 3);
    assert_eq!(choices.choose(site!("x"), 4, 2), 1, "cut to what there is");
    assert!(choices.omits(site!("client"), 9) && !choices.omits(site!("client"), 8));
}

#[test]
fn changes_are_read_as_they_are_written() {
    let all = [
        Change::new("phase/stop in chaos", What::One(7, 2), 19),
        Change::new("a site of many words", What::Entity(3), 0),
        Change::new("x", What::All, 0),
        Change::omitting("request", 12),
    ];
    for change in all {
        assert_eq!(Change::parse(&change.to_string()), Ok(change));
    }
    for wrong in ["", "draw", "draw x 1 = 2", "draw x 1 b = 2", "draw x 1 2", "omit x", "x 1 2 = 3"]
    {
        assert!(Change::parse(wrong).is_err(), "{wrong}");
    }
}

// What a fuzzer's bytes say: each draw takes from them, and 0 is nothing special.
#[test]
fn bytes_are_used_up_and_then_nothing_is_special() {
    let mut choices = Choices::new(0, Source::Bytes(vec![5, 1, 2, 0xff]));
    assert_eq!(choices.choose(site!("a"), 0, 256), 5);
    assert_eq!(choices.choose(site!("b"), 0, 65_536), 0x0201);
    assert_eq!(choices.choose(site!("c"), 0, 1), 0, "takes no byte");
    assert!(choices.coin(site!("d"), 0));
    assert!(!choices.coin(site!("d"), 0));
    assert!(!choices.chance(site!("e"), 0, Rate(65_535)));
    assert_eq!(choices.log_between(site!("f"), 0, 8, 4096), 8);
    assert_eq!(choices.oddity(site!("g"), 0, 6), 5);
}

#[test]
fn ranges_hold_and_many_keys_are_kept_apart() {
    let mut choices = Choices::from_seed(1);
    let mut low = u64::MAX;
    let mut high = 0;
    for entity in 0..5000 {
        let value = choices.log_between(site!("log"), entity, 2, 5000);
        low = low.min(value);
        high = high.max(value);
        assert!((3..=9).contains(&choices.between(site!("range"), entity, 3, 9)));
    }
    assert!((2..4).contains(&low) && (4000..=5000).contains(&high), "{low} {high}");
    assert_eq!(choices.used, 10_000);
    let hits = (0..10_000).filter(|&e| choices.chance(site!("rate"), e, Rate::percent(25))).count();
    assert!((2300..2700).contains(&hits), "{hits}");
    assert!(!choices.chance(site!("never"), 0, Rate::NEVER));
}
