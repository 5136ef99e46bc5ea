//! `tidegate-sim explain`: the broken rule, the ledger rows, the causal chain in words.

use super::ExplainArgs;
use super::replay::Subject;
use super::{BROKEN, CLEAN, usage};
use crate::oracle::{Group, Side, Violation};
use crate::rules;
use crate::story::{Step, Story, about, chain, clock, event_words, fact_words, requests_of};
use crate::world::Options;
use std::fmt::{self, Write as _};
use std::io::Write;

/// Columns of a line of text.
const WIDTH: usize = 100;
/// Facts of one step that are told at most; of more, the last ones.
const FACTS_MAX: usize = 8;
/// Requests whose rows are shown at most.
const REQUESTS_MAX: usize = 4;

/// Explains what a seed or a case breaks; the exit code.
pub(crate) fn explain(args: &ExplainArgs) -> u8 {
    let subject = match Subject::read(&args.what).and_then(Subject::single) {
        Ok(subject) => subject,
        Err(error) => return usage(&error),
    };
    let outcome = subject.run(Options { story: Some(false), ..subject.options() });
    if let Some(cut) = subject.cut_by_limit(&outcome) {
        return usage(&cut);
    }
    let mut out = std::io::stdout().lock();
    let Some(violation) = &outcome.violation else {
        let _ = writeln!(out, "{} breaks no rule", subject.title());
        return CLEAN;
    };
    let Some(story) = &outcome.story else {
        return usage(&format!("{} has no story of what it breaks", subject.title()));
    };
    let mut text = String::new();
    // Writing into a string cannot fail.
    let _ = write_all(&mut text, &subject.title(), story, violation);
    let _ = out.write_all(text.as_bytes());
    BROKEN
}

fn write_all(out: &mut String, title: &str, story: &Story, violation: &Violation) -> fmt::Result {
    let breach = &violation.breach;
    writeln!(out, "{title} breaks {} (group {})", breach.rule, breach.group)?;
    writeln!(out, "at {}, in event {}\n", clock(violation.at), violation.event)?;
    writeln!(out, "The rule")?;
    wrap(out, "  ", &rules::text(breach.rule).unwrap_or("This rule has no text.".into()))?;
    if let Some(says) = Group::named(breach.group).and_then(|group| group.says(breach.rule)) {
        wrap(out, "  ", &format!("Here, in the group {}: {says}.", breach.group))?;
    }
    writeln!(out, "\nWhat was seen")?;
    wrap(out, "  ", &breach.message)?;
    let sides = about(story, violation);
    ledger(out, story, violation, &sides)?;
    let last = (violation.event as u32).min(story.events.len().saturating_sub(1) as u32);
    let steps = chain(story, last, &sides);
    writeln!(out, "\nWhat led to it, from the first cause to the violation")?;
    for step in steps.iter().rev() {
        told(out, story, step)?;
    }
    writeln!(out, "  {:>13}  {} is broken.", clock(violation.at), breach.rule)
}

/// The rows that the violation is about.
fn ledger(out: &mut String, story: &Story, violation: &Violation, sides: &[Side]) -> fmt::Result {
    let requests = requests_of(story, violation);
    writeln!(out, "\nThe ledger")?;
    for id in requests.iter().rev().take(REQUESTS_MAX).rev() {
        let request = &story.ledger.requests[*id as usize];
        wrap(out, "  ", &request.ask)?;
        request.facts.iter().try_for_each(|fact| wrap(out, "      ", fact))?;
    }
    if requests.len() > REQUESTS_MAX {
        writeln!(out, "  and {} earlier requests", requests.len() - REQUESTS_MAX)?;
    }
    for side in sides {
        let (name, conn) = match side {
            Side::Front(n) => {
                let conn = &story.ledger.fronts[*n as usize];
                (format!("connection {n} of client {}", conn.peer), conn)
            }
            Side::Back(n) => {
                let conn = &story.ledger.backs[*n as usize];
                (format!("connection {n} to server {}", conn.peer), conn)
            }
        };
        wrap(out, "  ", &format!("{name}: {}", conn.facts.join("; ")))?;
    }
    if requests.is_empty() && sides.is_empty() {
        writeln!(out, "  no request and no connection is named: the rule is about the whole")?;
    }
    Ok(())
}

/// One step of the chain in sentences.
fn told(out: &mut String, story: &Story, step: &Step) -> fmt::Result {
    let ledger = &story.ledger;
    let event = story.events[step.event as usize];
    writeln!(out, "  {:>13}  event {}", clock(event.at), step.event)?;
    let mut sentences: Vec<String> = Vec::new();
    let facts = step.facts.iter().map(|&index| fact_words(ledger, &story.facts[index].1));
    sentences.extend(facts);
    if sentences.is_empty() {
        sentences.push(event_words(ledger, event.ev));
    }
    let sentences = collapsed(sentences);
    let skipped = sentences.len().saturating_sub(FACTS_MAX);
    if skipped > 0 {
        wrap(out, "                   ", &format!("({skipped} more steps before these)"))?;
    }
    for (sentence, times) in &sentences[skipped..] {
        let times = if *times > 1 { format!(" ... {times} times.") } else { String::new() };
        wrap(out, "                 - ", &(capital(sentence) + &times))?;
    }
    Ok(())
}

/// Sentences, and how often in a row each was said.
fn collapsed(sentences: Vec<String>) -> Vec<(String, u32)> {
    let mut all: Vec<(String, u32)> = Vec::new();
    for sentence in sentences {
        match all.last_mut() {
            Some((last, times)) if *last == sentence => *times += 1,
            _ => all.push((sentence, 1)),
        }
    }
    all
}

/// A sentence out of its words.
fn capital(words: &str) -> String {
    let mut letters = words.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string());
    let text = first.unwrap_or_default() + letters.as_str();
    // What peers sent may be long, and is in the trace.
    match text.char_indices().nth(360) {
        Some((at, _)) => format!("{} ...", &text[..at]),
        None => text + ".",
    }
}

/// Writes `text` in lines; all but the first begin with as much space as `indent` is long.
fn wrap(out: &mut String, indent: &str, text: &str) -> fmt::Result {
    let mut line = indent.to_string();
    let blank = " ".repeat(indent.len());
    let mut is_first = true;
    for word in text.split_whitespace() {
        if !is_first && line.len() + 1 + word.len() > WIDTH {
            writeln!(out, "{}", line.trim_end())?;
            line.clone_from(&blank);
            is_first = true;
        }
        if !is_first {
            line.push(' ');
        }
        line.push_str(word);
        is_first = false;
    }
    writeln!(out, "{}", line.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::Breach;
    use crate::world::run;

    // A request that a message names is shown with its rows, and the chain ends where it happened.
    #[test]
    fn an_explanation_names_rule_rows_and_causes() {
        let outcome = run(5, Options { story: Some(false), ..Options::default() });
        let story = outcome.story.expect("a story");
        let at = story.events.len() as u32 / 2;
        let breach = Breach {
            group: "answers",
            rule: "RES-7",
            message: "request 3 was answered 408 without cause".into(),
        };
        let nanos = story.events[at as usize].at;
        let violation = Violation { breach, event: at.into(), at: nanos };
        let mut text = String::new();
        write_all(&mut text, "seed 5", &story, &violation).expect("a text");
        for word in [
            "breaks RES-7",
            "The proxy answers by itself",
            "request 3",
            "asked by client",
            "What led to it",
            &format!("event {at}\n"),
            "RES-7 is broken.",
        ] {
            assert!(text.contains(word), "{word}: {text}");
        }
        assert!(text.lines().all(|line| line.len() <= 140), "{text}");
    }

    // What the group holds against a run is said beside what the rule says of all groups, and no
    // line shows how the source spells a peer's manners.
    #[test]
    fn a_rule_is_told_in_its_groups_words_and_peers_in_plain_ones() {
        let mut manners = 0;
        for seed in 0..4 {
            let outcome = run(seed, Options { story: Some(false), ..Options::default() });
            let story = outcome.story.expect("a story");
            let breach = Breach { group: "progress", rule: "LOOP-5", message: String::new() };
            for at in 0..story.events.len().min(400) as u32 {
                let step = Step { event: at, facts: that_happened(&story, at) };
                let mut text = String::new();
                told(&mut text, &story, &step).expect("a text");
                assert!(!text.contains(" { ") && !text.contains("None"), "{text}");
                manners += text.matches("requests at most").count();
            }
            let violation = Violation { breach, event: 40, at: 0 };
            let mut text = String::new();
            write_all(&mut text, "a seed", &story, &violation).expect("a text");
            assert!(text.contains("Work ends when nothing more can be done"), "{text}");
            assert!(
                text.contains("Here, in the group progress: no turn goes on for ever"),
                "{text}"
            );
        }
        assert!(manners > 4, "{manners}");
    }

    fn that_happened(story: &Story, event: u32) -> Vec<usize> {
        let first = story.events[event as usize].first;
        (first..first + story.facts_of(event).len()).collect()
    }

    #[test]
    fn what_is_said_again_and_again_is_said_once() {
        let said = |words: &str| words.to_string();
        let all = ["a", "b", "b", "b", "a"].map(said).to_vec();
        assert_eq!(collapsed(all), [(said("a"), 1), (said("b"), 3), (said("a"), 1)]);
    }

    #[test]
    fn long_text_is_wrapped() {
        let mut out = String::new();
        wrap(&mut out, "  - ", &"word ".repeat(60)).expect("a text");
        assert!(out.lines().count() > 2 && out.lines().all(|line| line.len() <= WIDTH));
        assert!(out.lines().skip(1).all(|line| line.starts_with("    word")));
    }
}
