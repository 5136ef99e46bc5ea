use super::*;
use crate::world::{Options, run};

fn page(seed: u64, title: &str) -> (String, Value) {
    page_of(&run(seed, Options { story: Some(false), ..Options::default() }), title)
}

fn page_of(outcome: &Outcome, title: &str) -> (String, Value) {
    let page = timeline(title, outcome.story.as_ref().expect("a story"), outcome);
    let start = page.find("id=\"data\">").expect("the data") + 10;
    let end = start + page[start..].find("</script>").expect("its end");
    let data = serde_json::from_str(&page[start..end]).expect("JSON");
    (page, data)
}

// One file, no network, and nothing of what peers say is taken for markup.
#[test]
fn a_page_needs_nobody_and_escapes_everything() {
    let (page, data) = page(5, "</script><b>x</b> & \"y\"");
    assert!(page.contains("<title>&lt;/script&gt;&lt;b&gt;x&lt;/b&gt; &amp; &quot;y&quot;"));
    assert_eq!(page.matches("<script").count(), page.matches("</script>").count());
    assert!(page.contains("default-src 'none'"));
    let own = page.replace(&data.to_string().replace('<', "\\u003c"), "");
    assert!(own.len() < page.len());
    for word in ["http://", "https://", "src=", "@import", "url(", "{{"] {
        assert!(!own.contains(word), "{word}");
    }
    assert_eq!(data["title"], "</script><b>x</b> & \"y\"");
}

#[test]
fn marks_lie_in_lanes_and_point_at_events() {
    let (_, data) = page(5, "seed 5");
    let len = |name: &str| data[name].as_array().map_or(0, Vec::len);
    assert!(len("marks") > 500 && len("arrows") > 100 && len("requests") > 3);
    let events: BTreeSet<u64> =
        data["events"].as_array().into_iter().flatten().filter_map(|e| e[0].as_u64()).collect();
    for mark in data["marks"].as_array().into_iter().flatten() {
        assert!(events.contains(&mark[0].as_u64().expect("an event")));
        assert!((mark[1].as_u64().expect("a lane") as usize) < len("lanes"));
    }
    let kinds: BTreeSet<&str> =
        data["lanes"].as_array().into_iter().flatten().filter_map(|l| l["kind"].as_str()).collect();
    for kind in ["client", "proxy", "server", "session", "world"] {
        assert!(kinds.contains(kind), "{kind}: {kinds:?}");
    }
}

// Connections of clients and those to servers are numbered each from 0: a fact of either lies in
// the lane of its session, whatever its number says, and so does the request that it is for.
#[test]
fn a_fact_lies_in_the_lane_of_its_own_session() {
    let (mut fronts, mut backs) = (0, 0);
    for seed in 0..4 {
        let (_, data) = page(seed, "lanes");
        for fact in data["events"].as_array().into_iter().flatten().flat_map(|e| e[4].as_array()) {
            for fact in fact {
                let words = fact[0].as_str().expect("words");
                let Some(lane) = fact[2].as_u64() else { continue };
                let lane = data["lanes"][lane as usize]["name"].as_str().expect("a name");
                let acts = words.starts_with("the proxy reads") || words.contains("proxy writes");
                let Some((_, rest)) = words.split_once("connection ").filter(|_| acts) else {
                    continue;
                };
                let number = rest.split(' ').next().unwrap_or_default();
                if rest.contains(" (client ") {
                    assert_eq!(lane, format!("session {number}"), "{words}");
                    fronts += 1;
                } else if let Some(request) = fact[3].as_u64() {
                    let front = &data["requests"][request as usize]["front"];
                    assert_eq!(lane, format!("session {front}"), "{words}");
                    backs += u32::from(*front != number.parse::<u64>().unwrap_or(u64::MAX));
                }
            }
        }
    }
    assert!(fronts > 100 && backs > 100, "{fronts} of clients, {backs} to servers");
}

/// What `who` said in a run: when, in microseconds, in which event, and what.
fn said<'a>(story: &'a Story, who: &'a dyn Fn(Who) -> bool) -> Vec<(u64, u64, &'a str)> {
    let of = |(event, fact): &'a (u32, Fact)| match fact {
        Fact::Said(by, text) if who(*by) => {
            // What is said before the first event is of none.
            let at = story.events.get(*event as usize)?.at;
            Some((at / 1000, u64::from(*event), text.as_str()))
        }
        _ => None,
    };
    story.facts.iter().filter_map(of).collect()
}

// A band is as long as its episode: to where that ends, to where everything is healed, or to the end
// of a run that is over before.
#[test]
fn episodes_are_bands_from_their_begin_to_their_end() {
    let options = || Options { story: Some(false), ..Options::default() };
    let (mut cut_short, mut whole) = (0, 0);
    for seed in 0..40 {
        let outcome = run(seed, options());
        let story = outcome.story.as_ref().expect("a story");
        let is_episode = |who| matches!(who, Who::Episode(_));
        let all = said(story, &is_episode);
        let begun = all.iter().filter(|(_, _, text)| text.starts_with("begins"));
        let (_, data) = page_of(&outcome, "whole");
        let bands = data["bands"].as_array().expect("bands");
        assert_eq!(bands.len(), begun.clone().count(), "seed {seed}");
        let phases = said(story, &|who| matches!(who, Who::World));
        let healed = phases.iter().find(|(_, _, text)| text.contains("Heal begins"));
        if let Some((healed, _, _)) = healed {
            whole += bands.len();
            for band in bands {
                let ends = band[1].as_u64().expect("a time");
                assert!(band[0].as_u64() < Some(ends) && ends <= *healed, "seed {seed}: {band}");
            }
        }
        // The run is cut off a few events behind the first begin.
        let Some((from, event, _)) = begun.copied().next() else { continue };
        let until = event + 30;
        if all.iter().any(|(_, at, text)| text.starts_with("ends") && *at <= until) {
            continue;
        }
        let outcome = run(seed, Options { until: Some(until), ..options() });
        let last = outcome.story.as_ref().and_then(|story| story.events.last()).expect("events");
        let (_, data) = page_of(&outcome, "cut");
        let bands = data["bands"].as_array().expect("bands");
        let band = bands.iter().find(|band| band[0] == from).expect("the first band");
        assert_eq!(band[1], last.at / 1000, "seed {seed}");
        assert!(last.at / 1000 > from, "seed {seed}");
        cut_short += 1;
    }
    assert!(cut_short > 5 && whole > 20, "{cut_short} cut short, {whole} bands in whole runs");
}
