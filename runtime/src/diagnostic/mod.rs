//! What is wrong with a configuration: code, place, hint, and the command to type next.
//!
//! A [`Diagnostic`] stands on its own, so that it can be shown to a person ([`render`]), to a
//! machine ([`to_json`]), or both, after the file that caused it has changed.

mod render;

pub use render::{refusal, render};

use std::ops::Range;
use std::sync::Arc;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal,)*) => {
        /// What kind of mistake a diagnostic is about. Numbers are never reused.
        #[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $($(#[$doc])* $name,)*
        }

        impl Code {
            /// Every code, in the order of their numbers.
            pub const ALL: &'static [Code] = &[$(Code::$name,)*];

            /// The code as it is shown and typed, `TG003`.
            pub fn number(self) -> &'static str {
                match self {
                    $(Code::$name => $number,)*
                }
            }

            /// The long text of `tidegate explain`, in Markdown.
            pub fn explanation(self) -> &'static str {
                match self {
                    $(Code::$name => include_str!(concat!("explain/", $number, ".md")),)*
                }
            }
        }
    };
}

codes! {
    /// The file is not TOML.
    Syntax = "TG001",
    /// A key that does not exist here.
    UnknownKey = "TG002",
    /// A route leads to a cluster that is not defined.
    UnknownCluster = "TG003",
    /// A value of the wrong type.
    WrongType = "TG004",
    /// A key that must be given is absent.
    MissingKey = "TG005",
    /// A word that is none of those allowed.
    NotAChoice = "TG006",
    /// Not a span of time.
    BadDuration = "TG007",
    /// Not a size.
    BadSize = "TG008",
    /// A number outside its bounds.
    OutOfRange = "TG009",
    /// Not an address.
    BadAddress = "TG010",
    /// A server's name has no address.
    Unresolved = "TG011",
    /// A secret cannot be read.
    SecretUnreadable = "TG012",
    /// The file of an answer cannot be read.
    AnswerUnreadable = "TG013",
    /// The configuration file cannot be read.
    FileUnreadable = "TG014",
    /// Keys that exclude each other stand together.
    Conflict = "TG015",
    /// Fewer workers start than were asked for.
    FewerWorkers = "TG016",
    /// A name that nothing can have.
    BadName = "TG017",
    /// The same thing given twice.
    Duplicate = "TG018",
    /// A route is bound to a listener that is not defined.
    UnknownListener = "TG019",
    /// Not a host.
    BadHost = "TG020",
    /// Not a path.
    BadPath = "TG021",
    /// Not a regular expression.
    BadRegex = "TG022",
    /// Not a method.
    BadMethod = "TG023",
    /// A status that cannot be used here.
    BadStatus = "TG024",
    /// A redirect that leads back to itself.
    RedirectToItself = "TG025",
    /// An answer whose body cannot be sent.
    BadAnswer = "TG026",
    /// A field that cannot be set or removed.
    BadField = "TG027",
    /// Two routes for the very same requests.
    TiedRoutes = "TG028",
    /// A sticky cluster with servers that nothing names.
    NothingToStickBy = "TG029",
    /// The longest back-off is shorter than the first.
    BackoffOrder = "TG030",
    /// A certificate's or key's file cannot be read.
    TlsUnreadable = "TG031",
    /// A file that holds no certificate or no key that can be used.
    BadPem = "TG032",
    /// A key and a certificate that do not belong together.
    KeyMismatch = "TG033",
    /// A certificate that has expired, expires soon, or is not valid yet.
    CertificateTime = "TG034",
    /// A key that every user of the machine can read.
    KeyReadable = "TG035",
    /// A certificate without names.
    CertificateNameless = "TG036",
    /// TLS settings that cannot be used together, or not on this machine.
    TlsUnusable = "TG037",
}

impl Code {
    /// The code that is typed as `text`, in either case.
    pub fn parse(text: &str) -> Option<Code> {
        Code::ALL.iter().copied().find(|code| code.number().eq_ignore_ascii_case(text))
    }
}

/// Whether a diagnostic refuses the configuration.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The configuration is refused.
    Error,
    /// The configuration works, perhaps not as its author thinks.
    Warning,
}

/// A configuration's name and text, shared by everything that points into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceText {
    /// The file as the user named it.
    pub name: Arc<str>,
    /// The whole text; empty when it could not be read.
    pub text: Arc<str>,
}

impl SourceText {
    /// Line and column of the byte at `offset`, both from 1, the column in characters.
    pub fn position(&self, offset: usize) -> (usize, usize) {
        let before = &self.text[..floor(&self.text, offset)];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }
}

/// The last character bound of `text` at or before `offset`.
fn floor(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// What kind of mistake.
    pub code: Code,
    /// Whether it refuses the configuration.
    pub severity: Severity,
    /// What is wrong, without a full stop.
    pub message: String,
    /// How to make it right.
    pub hint: Option<String>,
    /// The text at fault.
    pub source: SourceText,
    /// The bytes of the text at fault; absent when it is about the whole file.
    pub span: Option<Range<usize>>,
    /// Another place that takes part in it, and what is there.
    pub other: Option<(Range<usize>, String)>,
}

impl Diagnostic {
    /// An error without hint about the bytes `span` of `source`.
    pub fn error(
        code: Code,
        source: &SourceText,
        span: Option<Range<usize>>,
        message: impl Into<String>,
    ) -> Diagnostic {
        Diagnostic {
            code,
            severity: Severity::Error,
            message: message.into(),
            hint: None,
            source: source.clone(),
            span,
            other: None,
        }
    }

    /// This diagnostic with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Diagnostic {
        self.hint = Some(hint.into());
        self
    }

    /// Line and column, both from 1; absent when it is about the whole file.
    pub fn position(&self) -> Option<(usize, usize)> {
        self.span.as_ref().map(|span| self.source.position(span.start))
    }

    /// The command that tells more.
    pub fn next(&self) -> String {
        format!("tidegate explain {}", self.code.number())
    }
}

/// `diagnostics` as a JSON array: code, severity, message, file, line, column, hint, next.
pub fn to_json(diagnostics: &[Diagnostic]) -> String {
    let array: Vec<serde_json::Value> = diagnostics
        .iter()
        .map(|diagnostic| {
            let position = diagnostic.position();
            serde_json::json!({
                "code": diagnostic.code.number(),
                "severity": match diagnostic.severity {
                    Severity::Error => "error",
                    Severity::Warning => "warning",
                },
                "message": diagnostic.message,
                "file": &*diagnostic.source.name,
                "line": position.map(|(line, _)| line),
                "column": position.map(|(_, column)| column),
                "hint": diagnostic.hint,
                "next": diagnostic.next(),
            })
        })
        .collect();
    format!("{:#}\n", serde_json::Value::Array(array))
}
