//! Reads dates as HTTP writes them, apart from the product's writer (RFC 9110 5.6.7).

/// The months, three letters each.
const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
/// The days of a week whose first is the first day of 1970.
const DAYS: &str = "ThuFriSatSunMonTueWed";

/// The seconds since 1970 of `Sun, 06 Nov 1994 08:49:37 GMT`, if that is its form and its day of
/// the week is right.
pub(super) fn seconds(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok().filter(|text| text.len() == 29)?;
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let month = MONTHS.find(text.get(8..11)?)? as i64 / 3 + 1;
    let (day, year) = (number(5, 7)?, number(12, 16)?);
    let days = days_before(year, month) + day - 1;
    let name = days.rem_euclid(7) as usize * 3;
    let is_form = text.get(3..5) == Some(", ") && text.ends_with(" GMT");
    if !is_form || text.get(..3) != DAYS.get(name..name + 3) {
        return None;
    }
    Some(days * 86_400 + number(17, 19)? * 3600 + number(20, 22)? * 60 + number(23, 25)?)
}

/// Days from 1970 to the first of `month`.
fn days_before(year: i64, month: i64) -> i64 {
    // Counted from March, so that the leap day is the last of its year.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leaps = y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400);
    y * 365 + leaps + (153 * m + 2) / 5 - 719_468
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn known_dates_are_read_and_others_are_none() {
        assert_eq!(seconds(b"Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(seconds(b"Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(seconds(b"Thu, 29 Feb 2024 12:00:00 GMT"), Some(1_709_208_000));
        assert_eq!(seconds(b"Mon, 06 Nov 1994 08:49:37 GMT"), None);
        assert_eq!(seconds(b"yesterday"), None);
    }
}
