//! Numbers for readers, with as many digits as the uncertainty allows.

use super::interval::Spread;

/// Beyond this many decimals a power of ten is easier to read.
const MAX_DECIMALS: i32 = 5;

/// `1.176 ± 0.034`, two digits of the half-width; `1.176` without an interval; a dash for none.
pub fn spread(s: Option<&Spread>) -> String {
    s.map_or_else(dash, |s| match s.half() {
        Some(half) => with_half(s.mean, half),
        None => plain(s.mean),
    })
}

/// As [`spread`] with the sign always shown.
pub fn difference(s: Option<&Spread>) -> String {
    signed(s.map_or(0.0, |s| s.mean), &spread(s))
}

/// `text`, which shows `value`, with a plus sign if that is positive.
pub fn signed(value: f64, text: &str) -> String {
    match text.strip_prefix('(') {
        _ if !(value > 0.0) => text.to_owned(),
        Some(rest) => format!("(+{rest}"),
        None => format!("+{text}"),
    }
}

/// `0.31 (0.18 to 0.52)`: a geometric mean with its interval, from the mean of logarithms.
pub fn ratio(logs: &Spread) -> String {
    let number = |log: f64| significant(log.exp(), 2);
    match logs.interval {
        Some((low, high)) => format!(
            "{} ({} to {})",
            number(logs.mean),
            number(low),
            number(high)
        ),
        None => number(logs.mean),
    }
}

/// With this many significant digits; as a power of ten far from 1.
fn significant(value: f64, digits: i32) -> String {
    if !(1e-4..1e5).contains(&value) {
        return format!("{value:.*e}", (digits - 1) as usize);
    }
    format!(
        "{value:.*}",
        (digits - 1 - magnitude(value)).max(0) as usize
    )
}

/// The sign for "does not apply".
pub fn dash() -> String {
    "–".to_owned()
}

/// Four significant digits; whole numbers as they are.
pub fn plain(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    if !value.is_finite() || (value.fract() == 0.0 && value.abs() < 1e6) {
        return format!("{value}");
    }
    let decimals = 3 - magnitude(value);
    if decimals > MAX_DECIMALS + 2 || value.abs() >= 1e6 {
        return format!("{value:.2e}");
    }
    format!("{value:.*}", decimals.max(0) as usize)
}

/// `value ± half`.
pub fn with_half(value: f64, half: f64) -> String {
    if !value.is_finite() || !half.is_finite() {
        return plain(value);
    }
    if half == 0.0 {
        return format!("{} ± 0", plain(value));
    }
    let decimals = 1 - magnitude(half);
    let top = magnitude(value.abs().max(half));
    if decimals > MAX_DECIMALS && (-2..=MAX_DECIMALS).contains(&top) {
        // Five decimals are enough for a number near 1.
        let most = MAX_DECIMALS as usize;
        let least = 10f64.powi(-MAX_DECIMALS);
        let half = if half < 0.5 * least {
            format!("<{least:.most$}")
        } else {
            format!("{half:.most$}")
        };
        return format!("{value:.most$} ± {half}");
    }
    if decimals > MAX_DECIMALS || top > MAX_DECIMALS {
        let unit = 10f64.powi(top);
        let decimals = (decimals + top).max(0) as usize;
        let (v, h) = (value / unit, half / unit);
        return format!("({v:.decimals$} ± {h:.decimals$})e{top}");
    }
    let decimals = decimals.max(0) as usize;
    format!("{value:.decimals$} ± {half:.decimals$}")
}

/// `p = 0.0034`, with two digits; `p < 0.0001` below that.
pub fn p_value(p: f64) -> String {
    if p < 1e-4 {
        return "p < 0.0001".to_owned();
    }
    let decimals = (1 - magnitude(p)).clamp(2, 5) as usize;
    format!("p = {p:.decimals$}")
}

/// `12 345`
pub fn count(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            text.push(' ');
        }
        text.push(c);
    }
    text
}

/// `1 seed`, `2 seeds`
pub fn number(n: usize, what: &str) -> String {
    let s = if n == 1 { "" } else { "s" };
    format!("{} {what}{s}", count(n as f64))
}

/// The number of parameters, marked where it differs between seeds.
pub fn parameters(s: Option<&Spread>) -> String {
    s.map_or_else(dash, |s| {
        let varies = s.half().is_some_and(|h| h > 0.0);
        format!("{}{}", if varies { "≈ " } else { "" }, count(s.mean))
    })
}

fn magnitude(value: f64) -> i32 {
    value.abs().log10().floor() as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_follow_the_uncertainty() {
        for (value, half, text) in [
            (1.17634, 0.0341, "1.176 ± 0.034"),
            (-1.17634, 0.341, "-1.18 ± 0.34"),
            (153.2, 12.7, "153 ± 13"),
            (1532.2, 127.0, "1532 ± 127"),
            (8.0, 0.0, "8 ± 0"),
            (0.0, 0.0, "0 ± 0"),
            (1.000005, 0.0000921, "1.00001 ± 0.00009"),
            (0.9999951, 5.5e-7, "1.00000 ± <0.00001"),
            (1.2345e-9, 1.2e-10, "(1.23 ± 0.12)e-9"),
            (2.5e7, 1.0e6, "(2.50 ± 0.10)e7"),
            (f64::INFINITY, f64::NAN, "inf"),
        ] {
            assert_eq!(with_half(value, half), text);
        }
        let up = Spread::of(&[0.1, 0.3]);
        assert_eq!(difference(up.as_ref()), "+0.2 ± 1.3");
        assert_eq!(spread(None), "–");
    }

    #[test]
    fn numbers_alone_have_as_many_digits_as_are_read() {
        for (p, text) in [
            (1.0, "p = 1.00"),
            (0.21345, "p = 0.21"),
            (0.0494, "p = 0.049"),
            (0.00345, "p = 0.0034"),
            (0.000123, "p = 0.00012"),
            (3e-9, "p < 0.0001"),
            (0.0, "p < 0.0001"),
        ] {
            assert_eq!(p_value(p), text);
        }
        for (value, text) in [
            (0.023456, "0.02346"),
            (1.17634, "1.176"),
            (8.0, "8"),
            (1234.56, "1235"),
            (1.23e-9, "1.23e-9"),
            (0.0, "0"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(plain(value), text);
        }
        assert_eq!([1234567.0, 123.0].map(count), ["1 234 567", "123"]);
    }
}
