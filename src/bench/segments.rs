//! Segments of work, each between two bursts of multiply-and-add alone.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::machine::Clock;
use mdn_core::Result;
use mdn_kernels::{limit, Isa};

/// Segments of a measurement.
const SEGMENTS: u32 = 9;
/// Time of one burst of multiply-and-add between two segments. Short, since a processor that lowers its
/// clock during products with loads and stores raises it again some milliseconds into a burst.
const BURST: Duration = Duration::from_micros(500);
/// Time of bursts after which the clock is that of multiply-and-add alone.
const ALONE: Duration = Duration::from_millis(60);

/// Median and range over the segments of a measurement.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// The median.
    pub median: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
}

/// The result of one measurement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Segments {
    /// Units per second of wall and of processor time.
    pub rates: [Option<Spread>; 2],
    /// Units per billion multiplications and additions that the core could make in their time.
    pub per_limit: Option<f64>,
}

/// What one core can multiply and add in a second of its own time, in billions, burst by burst.
pub(super) struct Limit {
    isa: Option<Isa>,
    rounds: usize,
    /// The limit of a core that does nothing else.
    pub alone: Option<f64>,
    bursts: Vec<f64>,
}

impl Limit {
    pub fn new(isa: Option<Isa>) -> Self {
        let mut limit = Self {
            isa,
            rounds: 1 << 12,
            alone: None,
            bursts: Vec::new(),
        };
        while limit.timed().is_some_and(|(_, time)| time < BURST) {
            limit.rounds *= 2;
        }
        let begin = Instant::now();
        while begin.elapsed() < ALONE && limit.now().is_some() {}
        limit.alone = spread(std::mem::take(&mut limit.bursts)).map(|s| s.max);
        limit
    }

    fn timed(&self) -> Option<(f64, Duration)> {
        let begin = Clock::Thread.now()?;
        let flops = limit::multiply_adds(self.isa?, self.rounds);
        Some((flops, Clock::Thread.now()?.checked_sub(begin)?))
    }

    /// The limit as a burst measures it now.
    fn now(&mut self) -> Option<f64> {
        let (flops, time) = self.timed()?;
        let gflops = flops / time.as_secs_f64() * 1e-9;
        self.bursts.push(gflops);
        Some(gflops)
    }

    pub fn median(&self) -> Option<f64> {
        Some(spread(self.bursts.clone())?.median)
    }
}

/// Repeats `unit`, which counts as `size`, for `seconds`, in segments that end with `settle`, with a
/// burst before and after each, after a warm-up of one segment.
pub(super) fn segments<S>(
    (seconds, size): (f64, usize),
    limit: &mut Limit,
    state: &mut S,
    unit: impl Fn(&mut S) -> Result<()>,
    settle: impl Fn(&mut S) -> Result<()>,
) -> Result<Segments> {
    let length = Duration::from_secs_f64(seconds) / SEGMENTS;
    let mut rates = [Vec::new(), Vec::new()];
    let mut per_limit = Vec::new();
    let mut before = None;
    for segment in 0..=SEGMENTS {
        let (begin, cpu) = (Instant::now(), Clock::Process.now());
        let mut done = 0;
        while done == 0 || begin.elapsed() < length {
            unit(state)?;
            done += size;
        }
        settle(state)?;
        let (wall, cpu_now) = (begin.elapsed(), Clock::Process.now());
        let after = limit.now();
        let around = before.zip(after).map(|(a, b): (f64, f64)| 0.5 * (a + b));
        before = after;
        if segment == 0 {
            continue;
        }
        let cpu = cpu.zip(cpu_now).map(|(from, to)| to.saturating_sub(from));
        let per = |time: Option<Duration>| {
            let time = time.map(|t| t.as_secs_f64()).filter(|t| *t > 0.0);
            time.map(|t| done as f64 / t)
        };
        rates[0].extend(per(Some(wall)));
        rates[1].extend(per(cpu));
        per_limit.extend(per(cpu).zip(around).map(|(rate, limit)| rate / limit));
    }
    Ok(Segments {
        rates: rates.map(spread),
        per_limit: spread(per_limit).map(|s| s.median),
    })
}

fn spread(mut values: Vec<f64>) -> Option<Spread> {
    values.sort_by(f64::total_cmp);
    Some(Spread {
        median: *values.get(values.len() / 2)?,
        min: *values.first()?,
        max: *values.last()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_counted_and_settled() {
        let mut state = (0usize, 0u32);
        let unit = |s: &mut (usize, u32)| {
            s.0 += 1;
            Ok(())
        };
        let settle = |s: &mut (usize, u32)| {
            s.1 += 1;
            Ok(())
        };
        let mut limit = Limit::new(Some(Isa::Portable));
        let made = segments((0.0, 3), &mut limit, &mut state, unit, settle).unwrap();
        assert_eq!(state, (10, 10));
        assert!(made.rates[0].unwrap().min > 0.0);
        let (median, min, max) = (2.0, 1.0, 9.0);
        let expected = Some(Spread { median, min, max });
        assert_eq!(spread(vec![9.0, 1.0, 2.0]), expected);
        // A burst after the warm-up and after every segment.
        assert_eq!(limit.bursts.len(), 10);
        assert!(limit.alone.unwrap() > 0.0);
        let none = &mut Limit::new(None);
        let made = segments((0.0, 3), none, &mut state, unit, settle).unwrap();
        assert_eq!((made.per_limit, none.median()), (None, None));
        assert_eq!(none.alone, None);
    }
}
