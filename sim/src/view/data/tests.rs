use super::*;
use crate::world::{Options, run};

fn page(seed: u64, title: &str) -> (String, Value) {
    let outcome = run(seed, Options { story: Some(false), ..Options::default() });
    let page = timeline(title, outcome.story.as_ref().expect("a story"), &outcome);
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
