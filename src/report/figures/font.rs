//! The embedded font: figures look the same on every machine and need no library for it.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use plotters::style::{register_font, FontDesc, FontFamily, FontStyle};

use mdn_core::{Error, Result};

pub(super) static REGULAR: &[u8] = include_bytes!("../../../assets/fonts/Inter-Regular-subset.ttf");
pub(super) static SEMI_BOLD: &[u8] =
    include_bytes!("../../../assets/fonts/Inter-SemiBold-subset.ttf");

/// The rasteriser's size is from ascent to descent; of Inter that is 2478 units to an em of 2048.
const SIZE_PER_EM: f64 = 2478.0 / 2048.0;

/// A weight and a size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Type {
    /// Pixels to an em.
    pub em: f64,
    /// Semi-bold or regular.
    pub bold: bool,
}

impl Type {
    /// The regular weight.
    pub const fn regular(em: f64) -> Self {
        Self { em, bold: false }
    }

    /// The semi-bold weight.
    pub const fn bold(em: f64) -> Self {
        Self { em, bold: true }
    }

    /// As plotters asks for it, `scale` times as large.
    pub fn font(self, scale: f64) -> FontDesc<'static> {
        let style = if self.bold {
            FontStyle::Bold
        } else {
            FontStyle::Normal
        };
        FontDesc::new(
            FontFamily::Name("Inter"),
            self.em * SIZE_PER_EM * scale,
            style,
        )
    }

    /// Width of `text` in pixels.
    pub fn width(self, text: &str) -> f64 {
        const FINE: f64 = 8.0;
        // An unregistered font is reported when text is drawn.
        self.font(FINE)
            .box_size(&drawable(text))
            .map_or(0.0, |(w, _)| f64::from(w) / FINE)
    }

    /// `text`, cut in its middle to fit into `width` pixels: names often differ at their ends.
    pub fn squeeze(self, text: &str, width: f64) -> String {
        if self.width(text) <= width {
            return text.to_owned();
        }
        let all: Vec<char> = text.chars().collect();
        for kept in (1..all.len()).rev() {
            let (head, tail) = (kept.div_ceil(2), kept / 2);
            let mut short: String = all[..head].iter().collect();
            short.push('…');
            short.extend(&all[all.len() - tail..]);
            if self.width(&short) <= width {
                return short;
            }
        }
        String::new()
    }

    /// `text`, cut at its end to fit into `width` pixels.
    pub fn cut(self, text: &str, width: f64) -> String {
        if self.width(text) <= width {
            return text.to_owned();
        }
        let mut kept: Vec<char> = text.chars().collect();
        while kept.pop().is_some() {
            let short: String = kept.iter().collect::<String>() + "…";
            if self.width(&short) <= width {
                return short;
            }
        }
        String::new()
    }
}

/// Makes the font known to plotters; later calls do nothing.
pub fn register() -> Result<()> {
    static DONE: OnceLock<bool> = OnceLock::new();
    let done = *DONE.get_or_init(|| {
        register_font("Inter", FontStyle::Normal, REGULAR).is_ok()
            && register_font("Inter", FontStyle::Bold, SEMI_BOLD).is_ok()
    });
    if done {
        Ok(())
    } else {
        Err(Error::failed("the embedded font is damaged"))
    }
}

/// `text` with a question mark for every sign that the font lacks, which would be blank.
pub fn drawable(text: &str) -> String {
    static SIGNS: OnceLock<BTreeSet<u32>> = OnceLock::new();
    let signs = SIGNS.get_or_init(|| signs(REGULAR).unwrap_or_default());
    let known = |c: char| signs.contains(&u32::from(c));
    text.chars()
        .map(|c| if known(c) { c } else { '?' })
        .collect()
}

/// The characters of a TrueType font: its `cmap` subtable of format 4 (OpenType 1.9, "cmap").
fn signs(font: &[u8]) -> Option<BTreeSet<u32>> {
    let u16_at = |at: usize| {
        font.get(at..at + 2)
            .map(|b| usize::from(b[0]) << 8 | usize::from(b[1]))
    };
    let u32_at = |at: usize| Some(u16_at(at)? << 16 | u16_at(at + 2)?);
    let tables = u16_at(4)?;
    let mut records = (0..tables).map(|i| 12 + 16 * i);
    let record = records.find(|at| font.get(*at..*at + 4) == Some(b"cmap".as_slice()))?;
    let cmap = u32_at(record + 8)?;
    let mut offsets = (0..u16_at(cmap + 2)?).filter_map(|i| u32_at(cmap + 4 + 8 * i + 4));
    let sub = offsets.find(|o| u16_at(cmap + o) == Some(4))? + cmap;
    let twice = u16_at(sub + 6)?;
    let mut out = BTreeSet::new();
    for i in (0..twice).step_by(2) {
        let end = u16_at(sub + 14 + i)?;
        let start = u16_at(sub + 16 + twice + i)?;
        out.extend((start..=end).filter(|c| *c != 0xFFFF).map(|c| c as u32));
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_weights_hold_every_sign_that_labels_use() {
        let labels = "−0123456789.,:;±·×→↓↑–…()[]%/*²³⁰¹⁴⁵⁶⁷⁸⁹⁻≥≤≈ '`_-+= log q(x)KL";
        for font in [REGULAR, SEMI_BOLD] {
            let signs = signs(font).unwrap();
            assert!(signs.len() > 300, "{}", signs.len());
            let missing: Vec<char> = ('a'..='z')
                .chain('A'..='Z')
                .chain(labels.chars())
                .filter(|c| !signs.contains(&u32::from(*c)))
                .collect();
            assert_eq!(missing, []);
        }
        assert_eq!(drawable("−é 漢"), "−é ?");
    }

    #[test]
    fn text_is_measured_and_cut() {
        register().unwrap();
        let t = Type::regular(20.0);
        let (short, long) = (t.width("mm"), t.width("mmmm"));
        assert!(short > 20.0 && (long - 2.0 * short).abs() < 1.0);
        assert_eq!(t.cut("mmmm", long), "mmmm");
        assert_eq!(t.squeeze("abcdefgh", t.width("abc…gh")), "abc…gh");
        let cut = t.cut("mmmmmmmm", long);
        assert!(cut.ends_with('…') && t.width(&cut) <= long);
    }
}
