//! The embedded font: figures look the same on every machine. SVG gets letters as outlines.

use std::fmt::Write as _;
use std::sync::OnceLock;

use ab_glyph::{point, Font as _, FontRef, GlyphId, OutlineCurve};

use mdn_core::{Error, Result};

static REGULAR: &[u8] = include_bytes!("../../../assets/fonts/Inter-Regular-subset.ttf");
static SEMI_BOLD: &[u8] = include_bytes!("../../../assets/fonts/Inter-SemiBold-subset.ttf");

/// A size, in pixels to an em, and a weight: semi-bold or regular.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Type {
    pub em: f64,
    pub bold: bool,
}

/// The number of a glyph in the font, and how many ems to the right of the text's beginning it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Letter {
    pub glyph: u16,
    pub x: f64,
}

/// A text set in one weight: its letters without the blanks, and its width in ems.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Line {
    pub letters: Vec<Letter>,
    pub width: f64,
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

    /// Where the letters of `text` are, kerning included.
    pub fn set(self, text: &str) -> Line {
        let Some(font) = font(self.bold) else {
            return Line::default();
        };
        let units = units_per_em();
        let mut line = Line::default();
        let mut before: Option<GlyphId> = None;
        for character in drawable(text).chars() {
            let id = font.glyph_id(character);
            line.width += before.map_or(0.0, |b| f64::from(font.kern_unscaled(b, id)) / units);
            if font.outline(id).is_some() {
                line.letters.push(Letter {
                    glyph: id.0,
                    x: line.width,
                });
            }
            line.width += f64::from(font.h_advance_unscaled(id)) / units;
            before = Some(id);
        }
        line
    }

    /// Calls `pixel(column, row, cover)` for a letter of a text that begins at `at`, `scale` to an em.
    pub fn draw_letter(
        self,
        letter: &Letter,
        scale: f64,
        at: (f64, f64),
        mut pixel: impl FnMut(i64, i64, f32),
    ) {
        let Some(font) = font(self.bold) else { return };
        let height = f64::from(font.height_unscaled()) / units_per_em();
        let at = point((at.0 + scale * letter.x) as f32, at.1 as f32);
        let glyph = GlyphId(letter.glyph).with_scale_and_position((scale * height) as f32, at);
        if let Some(outline) = font.outline_glyph(glyph) {
            let corner = outline.px_bounds().min;
            let (left, top) = (corner.x as i64, corner.y as i64);
            outline.draw(|x, y, cover| pixel(left + i64::from(x), top + i64::from(y), cover));
        }
    }

    /// Width of `text` in pixels.
    pub fn width(self, text: &str) -> f64 {
        self.em * self.set(text).width
    }

    /// `text`, cut in its middle to fit into `width` pixels: names often differ at their ends.
    pub fn squeeze(self, text: &str, width: f64) -> String {
        if self.width(text) <= width {
            return text.to_owned();
        }
        let all: Vec<char> = text.chars().collect();
        let mut shorter = (1..all.len()).rev().map(|kept| {
            let (head, tail) = (&all[..kept.div_ceil(2)], &all[all.len() - kept / 2..]);
            String::from_iter([head, &['…'], tail].concat())
        });
        shorter.find(|s| self.width(s) <= width).unwrap_or_default()
    }
}

fn font(bold: bool) -> Option<&'static FontRef<'static>> {
    static FONTS: OnceLock<[Option<FontRef<'static>>; 2]> = OnceLock::new();
    let read = || [REGULAR, SEMI_BOLD].map(|bytes| FontRef::try_from_slice(bytes).ok());
    FONTS.get_or_init(read)[usize::from(bold)].as_ref()
}

/// Whether the font can be read; if it could not, texts would be empty.
pub fn check() -> Result<()> {
    let both = font(false).and(font(true));
    both.map(|_| ())
        .ok_or_else(|| Error::failed("the embedded font is damaged"))
}

/// `text` with a question mark for every character that the font lacks.
pub fn drawable(text: &str) -> String {
    let known = |c: char| font(false).is_some_and(|f| f.glyph_id(c).0 != 0);
    text.chars()
        .map(|c| if known(c) { c } else { '?' })
        .collect()
}

/// Units of the font to an em.
pub fn units_per_em() -> f64 {
    let units = font(false).and_then(FontRef::units_per_em);
    units.map_or(2048.0, f64::from)
}

/// The outline of a letter as the data of an SVG path, in units of the font, y downwards.
pub fn outline(glyph: u16, bold: bool) -> String {
    let outline = font(bold).and_then(|f| f.outline(GlyphId(glyph)));
    let mut out = String::new();
    let mut pen = None;
    for curve in outline.iter().flat_map(|o| &o.curves) {
        let (from, through, to) = match curve {
            OutlineCurve::Line(a, b) => (a, vec![], b),
            OutlineCurve::Quad(a, c, b) => (a, vec![c], b),
            OutlineCurve::Cubic(a, c, d, b) => (a, vec![c, d], b),
        };
        if pen != Some(from) {
            let close = if pen.is_some() { "z" } else { "" };
            let _ = write!(out, "{close}M{} {}", from.x, -from.y);
        }
        out.push(['L', 'Q', 'C'][through.len()]);
        let points = through.into_iter().chain([to]);
        let points: Vec<String> = points.map(|p| format!("{} {}", p.x, -p.y)).collect();
        out.push_str(&points.join(" "));
        pen = Some(to);
    }
    if !out.is_empty() {
        out.push('z');
    }
    out.replace("-0 ", "0 ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_weights_have_every_character_that_labels_use() {
        let labels = "−0123456789.,:;±·×→↓↑–…()[]%/*²³⁰¹⁴⁵⁶⁷⁸⁹⁻≥≤≈ '`_-+= log q(x)KL";
        let letters = ('a'..='z').chain('A'..='Z').chain(labels.chars());
        for bold in [false, true] {
            let font = font(bold).unwrap();
            let missing = letters.clone().filter(|c| font.glyph_id(*c).0 == 0);
            assert_eq!(missing.collect::<String>(), "");
        }
        assert_eq!(drawable("−é 漢"), "−é ?");
    }

    #[test]
    fn text_is_measured_and_cut() {
        let t = Type::regular(20.0);
        let (short, long) = (t.width("mm"), t.width("mmmm"));
        assert!(short > 20.0 && (long - 2.0 * short).abs() < 1.0);
        assert_eq!(t.squeeze("mmmm", long), "mmmm");
        assert_eq!(t.squeeze("abcdefgh", t.width("abc…gh")), "abc…gh");
        assert_eq!(t.set("A V").letters.len(), 2, "a blank has no outline");
    }

    /// Inter's capital height is 1490 of 2048 units; an O has two contours.
    #[test]
    fn an_outline_is_closed_and_as_tall_as_the_letter() {
        let of = |text: &str| outline(Type::regular(1.0).set(text).letters[0].glyph, false);
        let (tall, round) = (of("H"), of("O"));
        assert!(tall.starts_with('M') && tall.ends_with('z'), "{tall}");
        assert!(tall.contains("-1490"), "{tall}");
        assert_eq!(
            [round.matches('z').count(), round.matches('M').count()],
            [2, 2]
        );
    }
}
