//! Chance in a rehearsal: a function of (seed, what, number), in integers, so that what one
//! request meets does not depend on faults or on other requests. Two rehearsals that differ in a
//! fault alone have the same arrivals, clients and service times.

use crate::choice::mix;

/// What is drawn.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum What {
    /// The pause before a request.
    Gap = 1,
    /// Whose request it is.
    Client,
    /// What it asks for.
    Target,
    /// GET or POST.
    Method,
    /// How long a server works on it.
    Service,
}

/// One in 2^16.
const UNIT: i64 = 1 << 16;
/// ln 2.
const LN_2: u128 = 45_426;

/// The 64 bits of draw `number`.
pub(super) fn draw(seed: u64, what: What, number: u64) -> u64 {
    let stream = mix(seed ^ (what as u64) << 56 ^ 0x7265_6865_6172_7365);
    mix(stream.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
}

/// A number below `n`, which must not be 0.
pub(super) fn below(seed: u64, what: What, number: u64, n: u64) -> u64 {
    ((u128::from(draw(seed, what, number)) * u128::from(n)) >> 64) as u64
}

/// log2 of `word` (at least 1), in 65,536ths.
pub(super) fn log2(word: u64) -> u64 {
    let whole = 63 - u64::from(word.leading_zeros());
    let mut mantissa = u128::from(word) << (63 - whole);
    let mut log = whole;
    for _ in 0..16 {
        mantissa = (mantissa * mantissa) >> 63;
        log <<= 1;
        if mantissa >= 1 << 64 {
            mantissa >>= 1;
            log |= 1;
        }
    }
    log
}

/// 2 to the power of `exponent` (in 65,536ths), times `of`.
fn scaled(of: u64, exponent: i64) -> u64 {
    let (whole, part) = (exponent.div_euclid(UNIT), exponent.rem_euclid(UNIT) as u128);
    // 2^f is 1 + 0.6565 f + 0.3435 f^2 within 0.3 %.
    let factor = 65_536 + ((part * (43_024 + ((part * 22_512) >> 16))) >> 16);
    let value = (u128::from(of) * factor) >> 16;
    let value = if whole >= 0 { value << whole.min(40) } else { value >> (-whole).min(100) };
    u64::try_from(value).unwrap_or(u64::MAX)
}

/// The pause before arrival `number` of a Poisson process with this mean gap.
pub(super) fn gap(seed: u64, number: u64, mean: u64) -> u64 {
    let word = draw(seed, What::Gap, number) | 1;
    let minus_log2 = u128::from((64 << 16) - log2(word));
    ((minus_log2 * LN_2 * u128::from(mean)) >> 32) as u64
}

/// A service time around `median`: log-normal with a sigma of one half, so that one in a hundred
/// takes about three times as long.
pub(super) fn service(seed: u64, number: u64, median: u64) -> u64 {
    // Twelve numbers from 0 to 1 add up to a mean of 6 and a variance of 1.
    let sum: u64 = (0..3)
        .map(|n| {
            let word = draw(seed, What::Service, number.wrapping_mul(3) + n);
            (0..4).map(|part| word >> (16 * part) & 0xffff).sum::<u64>()
        })
        .sum();
    let normal = sum as i64 - 6 * UNIT;
    // Half a sigma is 0.7213 octaves.
    scaled(median, normal * 47_274 / UNIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_exponential() {
        let n = 20_000;
        let all: Vec<u64> = (0..n).map(|i| gap(7, i, 1_000_000)).collect();
        let mean = all.iter().sum::<u64>() / n;
        assert!((980_000..1_020_000).contains(&mean), "{mean}");
        let long = all.iter().filter(|&&gap| gap > 2_000_000).count();
        assert!((2_500..2_900).contains(&long), "{long}: e^-2 is 13.5 %");
    }

    #[test]
    fn service_times_have_their_median_and_their_tail() {
        let mut all: Vec<u64> = (0..20_000).map(|i| service(3, i, 20_000)).collect();
        all.sort_unstable();
        assert!((19_400..20_600).contains(&all[10_000]), "{}", all[10_000]);
        assert!((58_000..70_000).contains(&all[19_800]), "{}: e^(2.33/2) is 3.2", all[19_800]);
    }

    #[test]
    fn powers_and_logarithms() {
        assert_eq!((log2(1), log2(1 << 20), log2(3) >> 8), (0, 20 << 16, 405));
        assert_eq!(
            (scaled(1000, 0), scaled(1000, UNIT), scaled(1000, -2 * UNIT)),
            (1000, 2000, 250)
        );
        let half = scaled(1_000_000, UNIT / 2);
        assert!((1_411_000..1_418_000).contains(&half), "{half}");
    }
}
