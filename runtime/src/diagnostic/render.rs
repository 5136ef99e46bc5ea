//! Diagnostics for people: the line, a caret and the hint, as rustc shows them.

use super::{Diagnostic, Severity, floor};
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use std::ops::Range;

/// One diagnostic with its lines of the file; `colour` only for a terminal.
pub fn render(diagnostic: &Diagnostic, colour: bool) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(&*diagnostic.message).id(diagnostic.code.number());
    let text = &*diagnostic.source.text;
    let mut group = match &diagnostic.span {
        Some(span) => {
            let mut snippet = Snippet::source(text).path(&*diagnostic.source.name).annotation(
                AnnotationKind::Primary.span(visible(span, text)).label(diagnostic.hint.as_deref()),
            );
            if let Some((span, label)) = &diagnostic.other {
                snippet = snippet
                    .annotation(AnnotationKind::Context.span(visible(span, text)).label(&**label));
            }
            title.element(snippet)
        }
        None => title.element(annotate_snippets::Origin::path(&*diagnostic.source.name)),
    };
    if let (None, Some(hint)) = (&diagnostic.span, &diagnostic.hint) {
        group = group.element(Level::HELP.message(&**hint));
    }
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let mut shown = renderer.render(&[group]);
    shown.push('\n');
    shown
}

/// Why a configuration is refused, for a person: every diagnostic, how many errors there are, and
/// the command that tells more of the first.
pub fn refusal(diagnostics: &[Diagnostic], colour: bool) -> String {
    let mut text = String::new();
    for diagnostic in diagnostics {
        text.push_str(&render(diagnostic, colour));
        text.push('\n');
    }
    let is_error = |diagnostic: &&Diagnostic| diagnostic.severity == Severity::Error;
    if let Some(first) = diagnostics.iter().find(is_error) {
        let count = diagnostics.iter().filter(is_error).count();
        let plural = if count == 1 { "" } else { "s" };
        text.push_str(&format!("{}: {count} error{plural}\n", first.source.name));
        text.push_str(&format!("next: {}\n", first.next()));
    }
    text
}

/// A span on character bounds within `text`, cut at the end of its first line.
fn visible(span: &Range<usize>, text: &str) -> Range<usize> {
    let start = floor(text, span.start);
    let end = floor(text, span.end).max(start);
    let line_end = text[start..].find('\n').map_or(text.len(), |newline| start + newline);
    start..end.min(line_end)
}
