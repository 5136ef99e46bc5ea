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

/// A span on character bounds within `text`, cut at the end of its first line.
fn visible(span: &Range<usize>, text: &str) -> Range<usize> {
    let start = floor(text, span.start);
    let end = floor(text, span.end).max(start);
    let line_end = text[start..].find('\n').map_or(text.len(), |newline| start + newline);
    start..end.min(line_end)
}
