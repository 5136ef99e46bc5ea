//! Writing into a fixed buffer: nothing grows, and what does not fit is noticed.

/// A line under construction at the end of a buffer, which is never grown.
pub(crate) struct Line<'a> {
    into: &'a mut Vec<u8>,
    full: bool,
}

impl<'a> Line<'a> {
    pub(crate) fn new(into: &'a mut Vec<u8>) -> Line<'a> {
        Line { into, full: false }
    }

    /// Whether something did not fit: the line is unusable.
    pub(crate) fn is_full(&self) -> bool {
        self.full
    }

    #[inline(always)]
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        if self.full || self.into.capacity() - self.into.len() < bytes.len() {
            self.full = true;
        } else {
            self.into.extend_from_slice(bytes);
        }
    }

    /// `n` in decimal.
    pub(crate) fn decimal(&mut self, n: u64) {
        if n < 10 {
            return self.put(&[b'0' + n as u8]);
        }
        self.put(itoa::Buffer::new().format(n).as_bytes());
    }

    /// The last `WIDTH` decimal digits of `n`, with leading zeros.
    #[inline]
    pub(crate) fn padded<const WIDTH: usize>(&mut self, mut n: u64) {
        let mut digits = [b'0'; WIDTH];
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (n % 10) as u8;
            n /= 10;
        }
        self.put(&digits);
    }

    /// `n` as 32 lower-case hexadecimal digits.
    pub(crate) fn hex(&mut self, n: u128) {
        let mut digits = [0; 32];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(n.to_be_bytes()) {
            pair[0] = HEX[usize::from(byte >> 4)];
            pair[1] = HEX[usize::from(byte & 15)];
        }
        self.put(&digits);
    }

    /// The inside of a JSON string: what is not printable ASCII becomes an escape. A byte above
    /// 0x7f stands as the character of that number, so that every byte can be told again.
    pub(crate) fn escaped(&mut self, bytes: &[u8]) {
        // Nearly all there is: looked through without a branch a byte.
        if bytes.iter().fold(true, |all, &byte| all & is_plain(byte)) {
            return self.put(bytes);
        }
        let mut plain = 0;
        for (at, &byte) in bytes.iter().enumerate() {
            if is_plain(byte) {
                continue;
            }
            self.put(&bytes[plain..at]);
            plain = at + 1;
            match byte {
                b'"' | b'\\' => self.put(&[b'\\', byte]),
                _ => {
                    let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
                    self.put(&[b'\\', b'u', b'0', b'0', high, low]);
                }
            }
        }
        self.put(&bytes[plain..]);
    }

    /// What `value` displays as.
    pub(crate) fn display(&mut self, value: impl std::fmt::Display) {
        use std::io::Write;
        // Fails only when the line is full, which is remembered.
        let _ = write!(self, "{value}");
    }

    /// A point in time, as RFC 3339 with milliseconds, in UTC.
    pub(crate) fn date(&mut self, unix_millis: i64) {
        self.second(unix_millis.div_euclid(1000));
        self.padded::<3>(unix_millis.rem_euclid(1000) as u64);
        self.put(b"Z");
    }

    /// The beginning of a [`date`](Line::date), up to the digits of its milliseconds:
    /// [`SECOND_BYTES`] of them.
    pub(crate) fn second(&mut self, unix_seconds: i64) {
        let seconds = unix_seconds.rem_euclid(86_400) as u64;
        let (year, month, day) = civil(unix_seconds.div_euclid(86_400));
        self.padded::<4>(year);
        self.put(b"-");
        self.padded::<2>(month);
        self.put(b"-");
        self.padded::<2>(day);
        self.put(b"T");
        self.padded::<2>(seconds / 3600);
        self.put(b":");
        self.padded::<2>(seconds / 60 % 60);
        self.put(b":");
        self.padded::<2>(seconds % 60);
        self.put(b".");
    }
}

impl std::io::Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.put(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Bytes of a date as [`Line::second`] writes it: `2026-11-23T12:34:56.`.
pub(crate) const SECOND_BYTES: usize = 20;

/// Whether `byte` stands for itself in a JSON string.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') & (byte != b'"') & (byte != b'\\')
}

/// Year, month and day of the day `days` after 1970-01-01, in the Gregorian calendar.
fn civil(days: i64) -> (u64, u64, u64) {
    // Years are counted from March, in cycles of 400 years, so that the leap day is the last one.
    let days = days + 719_468;
    let cycle = days.div_euclid(146_097);
    let day = days.rem_euclid(146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = (cycle * 400 + year + carry).clamp(0, 9999);
    (year as u64, month as u64, day as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(write: impl FnOnce(&mut Line<'_>)) -> String {
        let mut bytes = Vec::with_capacity(128);
        let mut line = Line::new(&mut bytes);
        write(&mut line);
        assert!(!line.is_full());
        String::from_utf8(bytes).expect("ASCII")
    }

    #[test]
    fn dates_follow_the_calendar() {
        let cases = [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_709_251_199_001, "2024-02-29T23:59:59.001Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
        ];
        for (millis, text) in cases {
            assert_eq!(line(|line| line.date(millis)), text);
        }
    }

    #[test]
    fn numbers_keep_their_digits() {
        assert_eq!(line(|line| line.decimal(0)), "0");
        assert_eq!(line(|line| line.decimal(u64::MAX)), u64::MAX.to_string());
        assert_eq!(line(|line| line.padded::<3>(7)), "007");
        assert_eq!(line(|line| line.hex(0xabc)), "00000000000000000000000000000abc");
        assert_eq!(line(|line| line.display(1.5)), "1.5");
    }

    #[test]
    fn what_peers_send_cannot_leave_its_quotes() {
        let hostile = b"a\"b\\c\nd\x00e\x1b[31m\xff\x7f";
        let text = "a\\\"b\\\\c\\u000ad\\u0000e\\u001b[31m\\u00ff\\u007f";
        assert_eq!(line(|line| line.escaped(hostile)), text);
        assert_eq!(line(|line| line.escaped(b"")), "");
        assert_eq!(line(|line| line.escaped(b"/plain path")), "/plain path");
    }

    #[test]
    fn a_full_line_is_noticed_and_never_grows() {
        let mut bytes = Vec::with_capacity(4);
        let capacity = bytes.capacity();
        let mut line = Line::new(&mut bytes);
        line.put(&vec![b'x'; capacity]);
        assert!(!line.is_full());
        line.put(b"y");
        assert!(line.is_full());
        line.put(b"");
        assert!(line.is_full());
        assert_eq!((bytes.len(), bytes.capacity()), (capacity, capacity));
    }
}
