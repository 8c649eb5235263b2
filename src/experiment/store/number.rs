//! Numbers as text that reads back to the same bits.

/// The shortest text that reads back to `value`: `0.1`, `8`, `1e-12`, `NaN`, `inf`.
pub fn exact(value: f64) -> String {
    let text = format!("{value:?}");
    match text.strip_suffix(".0") {
        Some(whole) => whole.to_owned(),
        None => text,
    }
}

/// As [`exact`], or nothing where the value is unknown.
pub fn exact_or_empty(value: Option<f64>) -> String {
    value.map_or_else(String::new, exact)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_short_and_reads_back_to_the_same_bits() {
        let cases = [
            (0.1, "0.1"),
            (8.0, "8"),
            (-0.0, "-0"),
            (1e-12, "1e-12"),
            (f64::MIN_POSITIVE, "2.2250738585072014e-308"),
            (0.1 + 0.2, "0.30000000000000004"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN, "NaN"),
        ];
        for (value, text) in cases {
            assert_eq!(exact(value), text);
            let back: f64 = text.parse().unwrap();
            assert!(
                back.to_bits() == value.to_bits() || value.is_nan(),
                "{text}"
            );
        }
        assert_eq!(exact_or_empty(None), "");
    }
}
