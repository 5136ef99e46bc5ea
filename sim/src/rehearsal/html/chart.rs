//! The frame of a plot: time to the right, something upwards, bands for what happened.

use super::super::chance::log2;
use super::{escape, time};
use std::fmt::Write as _;

/// Width of every plot, in its own units.
pub(super) const WIDTH: u64 = 1000;
/// Room for what is written at the left, and at the right.
pub(super) const LEFT: u64 = 64;
const RIGHT: u64 = 12;
const TOP: u64 = 10;
const BOTTOM: u64 = 24;
/// Steps of seconds between two marks of time.
const STEPS: [u64; 14] = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14_400];
const SECOND: u64 = 1_000_000;

/// What is upwards.
#[derive(Copy, Clone)]
pub(super) enum Scale {
    /// From nothing to this much.
    Linear(u64),
    /// From this to that, each tenfold as high as another; of times in microseconds.
    Log(u64, u64),
}

/// A stretch of time that is shaded, in microseconds.
#[derive(Clone)]
pub(super) struct Band {
    pub(super) class: &'static str,
    pub(super) name: String,
    pub(super) from: u64,
    pub(super) to: u64,
}

/// One plot while it is drawn.
pub(super) struct Chart {
    out: String,
    height: u64,
    /// Microseconds from left to right.
    span: u64,
    scale: Scale,
}

/// The least of 1, 2, 5, 10, ... that is at least `n`.
pub(super) fn nice(n: u64) -> u64 {
    let mut step = 1_u64;
    loop {
        for factor in [1, 2, 5] {
            if step.saturating_mul(factor) >= n {
                return step.saturating_mul(factor);
            }
        }
        step = step.saturating_mul(10);
    }
}

/// The top of a scale that `most` fits under: some steps of a round number.
pub(super) fn ceiling(most: u64) -> u64 {
    let step = nice(most.div_ceil(4).max(1));
    most.div_ceil(step).max(1) * step
}

/// Where `at` lies, in tenths of a unit.
fn tenths(n: u64) -> String {
    format!("{}.{}", n / 10, n % 10)
}

impl Chart {
    /// An empty plot of `span` microseconds. `label` says what is upwards, to those who hear it.
    pub(super) fn new(height: u64, span: u64, scale: Scale, label: &str) -> Chart {
        let mut out = String::new();
        let _ = writeln!(
            out,
            "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{}\">",
            escape(label)
        );
        Chart { out, height, span: span.max(1), scale }
    }

    fn floor(&self) -> u64 {
        self.height - BOTTOM
    }

    /// The place of a moment, in tenths.
    fn x(&self, at: u64) -> u64 {
        let room = u128::from((WIDTH - LEFT - RIGHT) * 10);
        LEFT * 10 + (u128::from(at.min(self.span)) * room / u128::from(self.span)) as u64
    }

    /// The place of a value, in tenths.
    fn y(&self, value: u64) -> u64 {
        let room = (self.floor() - TOP) * 10;
        let up = match self.scale {
            Scale::Linear(most) => {
                (u128::from(value.min(most)) * u128::from(room) / u128::from(most.max(1))) as u64
            }
            Scale::Log(low, high) => {
                let (low_log, high_log) = (log2(low.max(1)), log2(high.max(1)));
                let log = log2(value.clamp(low.max(1), high.max(1)));
                (log - low_log) * room / (high_log - low_log).max(1)
            }
        };
        self.floor() * 10 - up
    }

    /// Shades what happened.
    pub(super) fn bands(&mut self, bands: &[Band]) {
        for band in bands {
            let (from, to) = (self.x(band.from), self.x(band.to));
            let (class, name) = (band.class, escape(&band.name));
            // What happens in a moment is a line.
            let width = (to - from).max(12);
            let _ = writeln!(
                self.out,
                "<rect class=\"band {class}\" x=\"{}\" y=\"{TOP}\" width=\"{}\" height=\"{}\">\
                <title>{name}</title></rect>",
                tenths(from),
                tenths(width),
                self.floor() - TOP
            );
        }
    }

    /// Lines and words of both axes.
    pub(super) fn axes(&mut self, show: impl Fn(u64) -> String) {
        for value in self.marks() {
            let y = self.y(value);
            let right = WIDTH - RIGHT;
            let _ = writeln!(
                self.out,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{y}\" y2=\"{y}\"/>\
                <text class=\"tick\" text-anchor=\"end\" x=\"{}\" y=\"{}\">{}</text>",
                LEFT - 8,
                tenths(y + 40),
                escape(&show(value)),
                y = tenths(y),
            );
        }
        let seconds = self.span / SECOND;
        let step = STEPS.iter().copied().find(|step| seconds / step <= 10);
        let step = step.unwrap_or(seconds / 8).max(1);
        let mut at = 0;
        while at <= seconds {
            let anchor = if at == 0 { "start" } else { "middle" };
            let x = self.x(at * SECOND);
            let _ = writeln!(
                self.out,
                "<text class=\"tick\" text-anchor=\"{anchor}\" x=\"{}\" y=\"{}\">{}</text>",
                tenths(x),
                self.height - 7,
                time(at * SECOND)
            );
            at += step;
        }
    }

    fn marks(&self) -> Vec<u64> {
        match self.scale {
            Scale::Linear(most) => {
                let step = nice(most.div_ceil(4).max(1));
                (0..=most / step).map(|n| n * step).collect()
            }
            Scale::Log(low, high) => {
                let mut marks = vec![low];
                while marks.last().is_some_and(|&last| last * 10 <= high) {
                    marks.push(marks[marks.len() - 1] * 10);
                }
                marks
            }
        }
    }

    /// A bar from `low` to `high` over the time from `from` to `to`.
    pub(super) fn bar(&mut self, class: &str, from: u64, to: u64, low: u64, high: u64) {
        let (x, right) = (self.x(from), self.x(to));
        let (bottom, top) = (self.y(low), self.y(high));
        // A single failure among thousands must be seen.
        let height = (bottom - top).max(15);
        let _ = writeln!(
            self.out,
            "<rect class=\"{class}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/>",
            tenths(x),
            tenths(bottom - height),
            tenths((right - x).saturating_sub(5).max(5)),
            tenths(height)
        );
    }

    /// A curve through `values` in the middle of their buckets; where there is none, it breaks.
    pub(super) fn curve(&mut self, class: &str, bucket: u64, values: &[Option<u64>]) {
        let mut path = String::new();
        let mut is_drawn = false;
        for (n, value) in (0_u64..).zip(values) {
            let Some(value) = value else {
                is_drawn = false;
                continue;
            };
            let (x, y) = (self.x(n * bucket + bucket / 2), self.y(*value));
            let letter = if is_drawn { 'L' } else { 'M' };
            let _ = write!(path, "{letter}{} {}", tenths(x), tenths(y));
            if !is_drawn {
                // A point alone is a dot.
                path.push_str("h.1");
            }
            is_drawn = true;
        }
        let _ = writeln!(self.out, "<path class=\"curve {class}\" d=\"{path}\"/>");
    }

    /// The finished plot.
    pub(super) fn finish(mut self) -> String {
        let (floor, right) = (self.floor(), WIDTH - RIGHT);
        let _ = writeln!(
            self.out,
            "<line class=\"axis\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{floor}\" y2=\"{floor}\"/>\
            <line class=\"cursor\" x1=\"-9\" x2=\"-9\" y1=\"{TOP}\" y2=\"{floor}\"/></svg>"
        );
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_round() {
        assert_eq!([0, 1, 3, 7, 12, 501].map(nice), [1, 1, 5, 10, 20, 1000]);
        assert_eq!([0, 4, 550, 2017].map(ceiling), [1, 4, 600, 3000]);
    }

    #[test]
    fn values_have_their_place() {
        let chart = Chart::new(234, 60_000_000, Scale::Linear(100), "");
        assert_eq!((chart.y(0), chart.y(50), chart.y(100)), (2100, 1100, 100));
        assert_eq!((chart.x(0), chart.x(60_000_000)), (640, 9880));
        let chart = Chart::new(234, 1, Scale::Log(1000, 100_000), "");
        assert_eq!((chart.y(1), chart.y(1000), chart.y(100_000)), (2100, 2100, 100));
        let middle = chart.y(10_000);
        assert!((1099..=1101).contains(&middle), "{middle}");
    }
}
