//! `--junit`: the report in the form that CI servers read. A test case for each block of seeds,
//! one for each seed that failed, one that every seed was run, and one for the quotas of marks.

use super::report::{Failure, Report};
use std::collections::BTreeMap;
use std::fmt::Write;

/// The XML of `report`; `missed` names the marks that too few seeds reached.
pub(crate) fn text(report: &Report, missed: &[String]) -> String {
    let totals = &report.totals;
    let cases = totals.blocks.len() + totals.failures.len() + 2;
    let broken = broken(report);
    let lack = report.lack();
    let failures = totals.failures.len()
        + broken.len()
        + usize::from(lack.is_some())
        + usize::from(!missed.is_empty());
    let counts = format!("tests=\"{cases}\" failures=\"{failures}\" errors=\"0\"");
    let time = format!("time=\"{:.3}\"", report.seconds);
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <testsuites name=\"tidegate-sim\" {counts} {time}>\n\
         <testsuite name=\"seeds\" {counts} skipped=\"0\" {time}>\n<properties>\n"
    );
    let properties = [
        ("commit", report.commit.clone()),
        ("command", report.command.join(" ")),
        ("seeds", totals.seeds.to_string()),
        ("events", totals.events.to_string()),
        ("hash", format!("{:016x}", totals.hash)),
    ];
    // Writing to a string cannot fail.
    for (name, value) in properties {
        let _ = writeln!(xml, "<property name=\"{name}\" value=\"{}\"/>", escaped(&value));
    }
    xml += "</properties>\n";
    for (first, block) in &totals.blocks {
        let last = first.saturating_add(block.seeds.saturating_sub(1));
        let seconds = block.seconds;
        let open = format!(
            "<testcase classname=\"seeds\" name=\"seeds {first} to {last}\" time=\"{seconds:.3}\""
        );
        xml += &case(&open, "seeds", broken.get(first).map(|seeds| seeds.join("\n")));
    }
    for failure in &totals.failures {
        xml += &failed(failure);
    }
    xml += &case("<testcase classname=\"run\" name=\"every seed\" time=\"0\"", "incomplete", lack);
    let heading = format!("{} marks missed their quota", missed.len());
    let missed = (!missed.is_empty()).then(|| format!("{heading}\n{}", missed.join("\n")));
    xml += &case("<testcase classname=\"marks\" name=\"quotas\" time=\"0\"", "marks", missed);
    xml + "</testsuite>\n</testsuites>\n"
}

/// The seeds that failed, in words, by the first seed of their block: such a block does not pass.
fn broken(report: &Report) -> BTreeMap<u64, Vec<String>> {
    let mut broken: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for Failure { seed, group, rule, .. } in &report.totals.failures {
        let block = report.totals.blocks.range(..=seed).next_back();
        if let Some((&first, _)) = block {
            broken.entry(first).or_default().push(format!("seed {seed} failed: {group} {rule}"));
        }
    }
    broken
}

/// The test case that begins as `open` does. `why` it failed, if it did: the first line is what
/// overviews show.
fn case(open: &str, kind: &str, why: Option<String>) -> String {
    let Some(why) = why else { return format!("{open}/>\n") };
    let first = why.lines().next().unwrap_or_default();
    format!(
        "{open}>\n<failure type=\"{kind}\" message=\"{}\">{}</failure>\n</testcase>\n",
        escaped(first),
        escaped(&why)
    )
}

fn failed(failure: &Failure) -> String {
    let Failure { seed, group, rule, message, event, replay } = failure;
    format!(
        "<testcase classname=\"{}\" name=\"seed {seed}\" time=\"0\">\n\
         <failure type=\"{}\" message=\"{}\">{}</failure>\n</testcase>\n",
        escaped(group),
        escaped(&format!("{group} {rule}")),
        escaped(message),
        escaped(&format!("{group} {rule}: {message}\nevent {event}\n{replay}"))
    )
}

/// `text` as XML 1.0 may hold it, in an attribute or between tags; what it may not hold becomes
/// U+FFFD.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\n' => out += "&#10;",
            '\t' => out += "&#9;",
            '\r' => out += "&#13;",
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::merge::tests::report;

    #[test]
    fn every_block_failure_and_the_quotas_are_cases() {
        let mut report = report(1, 2);
        report.totals.failures.push(Failure {
            seed: 7,
            group: "bytes".into(),
            rule: "RES-2".into(),
            message: "a <\"b\"> & \u{1}".into(),
            event: 5,
            replay: "tidegate-sim replay 7".into(),
        });
        let clean = text(&report, &[]);
        // The block of a seed that failed fails, too.
        assert!(clean.contains("tests=\"4\" failures=\"2\""), "{clean}");
        let block = "name=\"seeds 0 to 49\" time=\"1.000\">\n<failure type=\"seeds\" \
                     message=\"seed 7 failed: bytes RES-2\">";
        assert!(clean.contains(block), "{clean}");
        assert!(clean.contains("name=\"every seed\" time=\"0\"/>"), "{clean}");
        assert!(clean.contains("message=\"a &lt;&quot;b&quot;&gt; &amp; \u{fffd}\""), "{clean}");
        assert!(clean.contains("tidegate-sim replay 7</failure>"), "{clean}");
        let missed = text(&report, &["x: 0 seeds of 4".into()]);
        assert!(missed.contains("failures=\"3\"") && missed.contains("x: 0 seeds of 4"));
        (report.is_complete, report.totals.seeds) = (false, 20);
        let lack = "message=\"gave up after 1 failing seeds: 30 of 50 not run\"";
        assert!(text(&report, &[]).contains(lack), "{}", text(&report, &[]));
        // Every element that is opened is closed, by a tag of its own or in the same one.
        let mut open = Vec::new();
        for tag in missed.split('<').skip(1).filter_map(|rest| rest.split('>').next()) {
            let name = tag.split([' ', '/']).find(|word| !word.is_empty()).unwrap_or_default();
            match tag {
                _ if tag.starts_with('?') || tag.ends_with('/') => {}
                _ if tag.starts_with('/') => assert_eq!(open.pop(), Some(name), "{missed}"),
                _ => open.push(name),
            }
        }
        assert!(open.is_empty(), "{open:?} are open: {missed}");
    }
}
