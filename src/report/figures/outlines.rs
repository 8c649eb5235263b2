//! Letters of the embedded font as outlines, for SVG: they look the same where the font is not.

use std::fmt::Write as _;
use std::sync::OnceLock;

use ab_glyph::{Font as _, FontRef, GlyphId, OutlineCurve};

use super::font::{self, Type};
use mdn_core::{Error, Result};

/// A letter and how far from the text's beginning it stands, in units of the font.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Letter {
    /// Its number in the font.
    pub glyph: u16,
    /// Units to the right.
    pub x: f32,
}

/// A text set in one weight.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Its letters, those without an outline left out.
    pub letters: Vec<Letter>,
    /// Units from its beginning to its end.
    pub width: f32,
    /// Units to an em.
    pub units: f32,
}

fn of_weight(bold: bool) -> Result<&'static FontRef<'static>> {
    static FONTS: OnceLock<Option<[FontRef<'static>; 2]>> = OnceLock::new();
    let fonts = FONTS.get_or_init(|| {
        let read = |bytes| FontRef::try_from_slice(bytes).ok();
        Some([read(font::REGULAR)?, read(font::SEMI_BOLD)?])
    });
    let fonts = fonts.as_ref();
    fonts
        .map(|f| &f[usize::from(bold)])
        .ok_or_else(|| Error::failed("the embedded font is damaged"))
}

/// Where the letters of `text` stand, kerning included.
pub fn set(text: &str, face: Type) -> Result<Line> {
    let font = of_weight(face.bold)?;
    let (mut letters, mut x) = (Vec::new(), 0.0);
    let mut before: Option<GlyphId> = None;
    for sign in text.chars() {
        let id = font.glyph_id(sign);
        x += before.map_or(0.0, |b| font.kern_unscaled(b, id));
        if font.outline(id).is_some() {
            letters.push(Letter { glyph: id.0, x });
        }
        x += font.h_advance_unscaled(id);
        before = Some(id);
    }
    Ok(Line {
        letters,
        width: x,
        units: font.units_per_em().unwrap_or(2048.0),
    })
}

/// The outline of a letter as the data of an SVG path, in units of the font, y downwards.
pub fn path(glyph: u16, bold: bool) -> Result<String> {
    let outline = of_weight(bold)?.outline(GlyphId(glyph));
    let mut out = String::new();
    let mut pen = None;
    for curve in outline.iter().flat_map(|o| &o.curves) {
        let (from, to) = match curve {
            OutlineCurve::Line(a, b) => (*a, *b),
            OutlineCurve::Quad(a, _, b) => (*a, *b),
            OutlineCurve::Cubic(a, _, _, b) => (*a, *b),
        };
        let _ = match pen {
            Some(at) if at == from => Ok(()),
            Some(_) => write!(out, "zM{} {}", from.x, -from.y),
            None => write!(out, "M{} {}", from.x, -from.y),
        };
        let _ = match curve {
            OutlineCurve::Line(_, b) => write!(out, "L{} {}", b.x, -b.y),
            OutlineCurve::Quad(_, c, b) => write!(out, "Q{} {} {} {}", c.x, -c.y, b.x, -b.y),
            OutlineCurve::Cubic(_, c, d, b) => {
                let (c, d) = ((c.x, -c.y), (d.x, -d.y));
                write!(out, "C{} {} {} {} {} {}", c.0, c.1, d.0, d.1, b.x, -b.y)
            }
        };
        pen = Some(to);
    }
    if !out.is_empty() {
        out.push('z');
    }
    Ok(out.replace("-0 ", "0 "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_stand_where_the_pixels_have_them() {
        font::register().unwrap();
        for face in [Type::regular(20.0), Type::bold(29.0)] {
            let text = "AV log q(x) − 10⁻³";
            let line = set(text, face).unwrap();
            let width = f64::from(line.width / line.units) * face.em;
            assert!((width - face.width(text)).abs() < 0.5, "{width}");
            // Blanks have no outline.
            assert_eq!(
                line.letters.len(),
                text.chars().filter(|c| *c != ' ').count()
            );
        }
    }

    #[test]
    fn an_outline_is_closed_and_as_tall_as_the_letter() {
        // Inter's capital height is 1490 of 2048 units; an O has two contours.
        let of = |sign: &str| {
            let letter = set(sign, Type::regular(1.0)).unwrap().letters[0];
            path(letter.glyph, false).unwrap()
        };
        let (tall, round) = (of("H"), of("O"));
        assert!(
            tall.starts_with('M') && tall.ends_with('z') && tall.contains("-1490"),
            "{tall}"
        );
        assert_eq!(round.matches('z').count(), 2);
        assert_eq!(round.matches('M').count(), 2);
    }
}
