use super::*;

// SES-2: each legal move has a number of its own, an illegal one none.
#[test]
fn every_legal_move_has_a_place() {
    let mut expected = 0;
    for (at, &rank) in RANKS.iter().enumerate() {
        let (state, by) = cell(at);
        match state.after(by) {
            Some(_) => {
                assert_eq!(usize::from(rank), expected);
                assert_eq!(MOVES[expected], (state, by));
                expected += 1;
            }
            None => assert_eq!(rank, u8::MAX),
        }
    }
    assert_eq!(Part::Moved.count(), expected);
    assert_eq!(Part::Moved.name_of(0), "open by announce");
}

#[test]
fn parts_name_what_they_count() {
    for part in Part::ALL {
        let names: std::collections::BTreeSet<String> =
            (0..part.count()).map(|index| part.name_of(index)).collect();
        assert_eq!(names.len(), part.count(), "{part:?}");
    }
}

#[cfg(feature = "sim")]
#[test]
fn counts_are_kept_apart() {
    let mut reach = Reach::default();
    assert!(reach.part(Part::Fired).is_empty());
    reach.decided(Decision::PickOpen);
    reach.refused_response(Refusal::NotHttp);
    reach.answered(404);
    reach.answered(299);
    let mut trail = Trail::default();
    trail.note(State::Open, Move::Serve);
    trail.note(State::Open, Move::Serve);
    reach.walked(trail);
    let sums = Part::ALL.map(|part| reach.part(part).iter().sum::<u32>());
    assert_eq!(sums, [1, 0, 1, 0, 1, 1]);
    assert_eq!(reach.part(Part::Decided)[Decision::PickOpen as usize], 1);
    assert_eq!(reach.part(Part::ResponseRefused)[Refusal::NotHttp as usize], 1);
}
