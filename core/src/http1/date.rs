//! Dates as HTTP writes them, from the wall clock that a driver supplies (RFC 9110 5.6.7).

const DAYS: [&[u8; 3]; 7] = [b"Thu", b"Fri", b"Sat", b"Sun", b"Mon", b"Tue", b"Wed"];
const MONTHS: [&[u8; 3]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];
/// 0000-01-01 and 9999-12-31 as days since 1970-01-01: the years that have four digits.
const DAY_MIN: i64 = -719_528;
const DAY_MAX: i64 = 2_932_896;

/// The Gregorian year, month (0 to 11) and day (1 to 31) of a day since 1970-01-01.
fn civil(day: i64) -> (i64, usize, i64) {
    // Counted from 0000-03-01, the leap day ends its year, its cycle of 4 years and of 400.
    let day = day - DAY_MIN - 60;
    let (era, day) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let century = (day / 36_524).min(3);
    let day = day - century * 36_524;
    let (quad, day) = (day / 1461, day % 1461);
    let year = (day / 365).min(3);
    let mut day = day - year * 365;
    let mut month = 2;
    for length in [31, 30, 31, 30, 31, 31, 30, 31, 30, 31, 31] {
        if day < length {
            break;
        }
        day -= length;
        month += 1;
    }
    let year = era * 400 + century * 100 + quad * 4 + year + i64::from(month >= 12);
    (year, month % 12, day + 1)
}

/// Writes an IMF-fixdate: `Sun, 06 Nov 1994 08:49:37 GMT`. Years stay within 0 and 9999.
pub(super) fn write_date(out: &mut Vec<u8>, unix_millis: i64) {
    let seconds = unix_millis.div_euclid(1000);
    let day = seconds.div_euclid(86_400).clamp(DAY_MIN, DAY_MAX);
    let second = seconds.rem_euclid(86_400);
    let (year, month, of_month) = civil(day);
    out.extend_from_slice(DAYS[day.rem_euclid(7) as usize]);
    out.extend_from_slice(b", ");
    two_digits(out, of_month);
    out.push(b' ');
    out.extend_from_slice(MONTHS[month]);
    out.push(b' ');
    two_digits(out, year / 100);
    two_digits(out, year % 100);
    out.push(b' ');
    two_digits(out, second / 3600);
    out.push(b':');
    two_digits(out, second / 60 % 60);
    out.push(b':');
    two_digits(out, second % 60);
    out.extend_from_slice(b" GMT");
}

fn two_digits(out: &mut Vec<u8>, number: i64) {
    out.push(b'0' + (number / 10 % 10) as u8);
    out.push(b'0' + (number % 10) as u8);
}
