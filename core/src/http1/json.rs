//! Whether a client would rather read JSON than HTML (RES-7, RFC 9110 12.5.1).

use super::bytes::trim;
use super::fields::list;

/// What an Accept says of one media type: how specific its best range is, and its weight.
#[derive(Copy, Clone, Default)]
struct Verdict {
    specific: u8,
    weight: u16,
}

impl Verdict {
    fn heed(&mut self, specific: u8, weight: u16) {
        if specific > self.specific || specific == self.specific && weight > self.weight {
            *self = Verdict { specific, weight };
        }
    }
}

/// Whether the Accept `value` names a JSON type and weighs it no less than HTML; between equal
/// weights, the more specific range wins, then HTML.
pub(super) fn prefers_json(value: &[u8]) -> bool {
    // Nearly every Accept has no `j` at all.
    if memchr::memchr2(b'j', b'J', value).is_none() {
        return false;
    }
    let (mut json, mut html) = (Verdict::default(), Verdict::default());
    for element in list(value) {
        let mut parts = element.split(|&byte| byte == b';').map(trim);
        let range = parts.next().unwrap_or_default();
        let weight = parts.find_map(weight).unwrap_or(1000);
        if range.eq_ignore_ascii_case(b"application/json") || is_json_suffixed(range) {
            json.heed(3, weight);
        } else if range.eq_ignore_ascii_case(b"text/html") {
            html.heed(3, weight);
        } else if range.eq_ignore_ascii_case(b"text/*") {
            html.heed(2, weight);
        } else if range == b"*/*" {
            html.heed(1, weight);
        }
    }
    json.weight > 0 && (json.weight, json.specific) > (html.weight, html.specific)
}

fn is_json_suffixed(range: &[u8]) -> bool {
    let suffix = b"+json";
    range.len() > suffix.len() && range[range.len() - suffix.len()..].eq_ignore_ascii_case(suffix)
}

/// The thousandths of a `q=` parameter; 0 for one that is malformed (RFC 9110 12.4.2).
fn weight(parameter: &[u8]) -> Option<u16> {
    let [b'q' | b'Q', b'=', digits @ ..] = parameter else { return None };
    Some(match digits {
        [b'1', ..] => 1000,
        [b'0', b'.', fraction @ ..] if fraction.len() <= 3 => {
            let mut weight = 0;
            for index in 0..3 {
                let digit = fraction.get(index).map_or(0, |byte| byte.wrapping_sub(b'0'));
                weight = weight * 10 + u16::from(digit.min(9));
            }
            weight
        }
        _ => 0,
    })
}
