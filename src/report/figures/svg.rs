//! A canvas as SVG that looks the same everywhere: text as outlines, heat maps as embedded PNG.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use base64::engine::general_purpose::STANDARD;
use base64::Engine as _;

use super::canvas::{Canvas, Ink, Mark, Point, Rect};
use super::font;
use super::png::bare_png;
use super::Metadata;
use mdn_core::Result;

/// The figure, with its metadata in `<title>` and `<metadata>`.
pub fn svg_bytes(canvas: &Canvas, metadata: &Metadata) -> Result<Vec<u8>> {
    let (width, height) = (canvas.width, canvas.height);
    let mut body = Body::default();
    for mark in &canvas.marks {
        body.mark(mark)?;
    }
    body.group("");
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" xmlns:xlink=\"http://www.w3.org/1999/xlink\" \
         width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\">\n<title>{}</title>\n\
         <metadata>\n",
        escaped(&metadata.description)
    );
    for (key, text) in metadata.entries() {
        let _ = writeln!(out, "{key}: {}", escaped(text));
    }
    out.push_str("</metadata>\n<defs>\n");
    for (bold, glyph) in &body.letters {
        let (id, path) = (id(*bold, *glyph), font::outline(*glyph, *bold));
        let _ = writeln!(out, "<path id=\"{id}\" d=\"{path}\"/>");
    }
    for (i, clip) in body.clips.iter().enumerate() {
        let place = place(clip);
        let _ = writeln!(out, "<clipPath id=\"c{i}\"><rect{place}/></clipPath>");
    }
    let _ = write!(
        out,
        "</defs>\n<rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n\
         <g stroke-linecap=\"round\" stroke-linejoin=\"round\">\n{}</g>\n</svg>\n",
        body.text
    );
    Ok(out.into_bytes())
}

/// The elements; neighbours with the same attributes share a group.
#[derive(Default)]
struct Body {
    text: String,
    group: String,
    clips: Vec<Rect>,
    letters: BTreeSet<(bool, u16)>,
}

impl Body {
    /// Opens a group with these attributes unless it is open already; none closes it.
    fn group(&mut self, attributes: &str) {
        if attributes == self.group {
            return;
        }
        if !self.group.is_empty() {
            self.text.push_str("</g>\n");
        }
        if !attributes.is_empty() {
            let _ = writeln!(self.text, "<g {attributes}>");
        }
        attributes.clone_into(&mut self.group);
    }

    fn clip(&mut self, within: Option<Rect>) -> String {
        let Some(area) = within else {
            return String::new();
        };
        let known = self.clips.iter().position(|c| *c == area);
        let at = known.unwrap_or_else(|| {
            self.clips.push(area);
            self.clips.len() - 1
        });
        format!(" clip-path=\"url(#c{at})\"")
    }

    fn mark(&mut self, mark: &Mark) -> Result<()> {
        match mark {
            Mark::Area { corners, ink } => {
                self.group(&paint("fill", *ink));
                let _ = writeln!(self.text, "<path d=\"{}z\"/>", points(corners));
            }
            Mark::Line {
                path,
                width,
                ink: Ink(rgb, alpha),
                within,
            } => {
                let (width, clip) = (short(*width), self.clip(*within));
                let colour = format!("stroke=\"{}\"", hex(*rgb));
                let opacity = opacity("stroke", *alpha);
                let rest = format!("{opacity} stroke-width=\"{width}\"{clip}");
                let data = points(path);
                if path.len() > 1 {
                    self.group(&format!("fill=\"none\" {colour}{rest}"));
                    let _ = writeln!(self.text, "<path d=\"{data}\"/>");
                } else {
                    // Each disc has its own colour attribute. A path of one point needs a length, even 0.
                    self.group(&format!("fill=\"none\"{rest}"));
                    let _ = writeln!(self.text, "<path d=\"{data}h0\" {colour}/>");
                }
            }
            Mark::Image { area, columns, rgb } => {
                self.group("");
                let (columns, rgb) = coarser(area, *columns, rgb);
                let _ = writeln!(
                    self.text,
                    "<image{} preserveAspectRatio=\"none\" \
                     xlink:href=\"data:image/png;base64,{}\"/>",
                    place(area),
                    STANDARD.encode(bare_png(columns, &rgb)?)
                );
            }
            Mark::Text(text) => {
                self.group("");
                let (face, line, units) =
                    (text.face, text.face.set(&text.words), font::units_per_em());
                let _ = write!(
                    self.text,
                    "<g {} role=\"img\" aria-label=\"{}\" transform=\"translate({} {}){}scale({:.6})\">",
                    paint("fill", Ink::full(text.rgb)),
                    escaped(&text.words),
                    short(text.at.0),
                    short(text.at.1),
                    if text.up { "rotate(-90)" } else { "" },
                    face.em / units,
                );
                for letter in &line.letters {
                    let x = (letter.x - text.before(line.width)) * units;
                    let id = id(face.bold, letter.glyph);
                    let _ = write!(self.text, "<use xlink:href=\"#{id}\" x=\"{x:.0}\"/>");
                    self.letters.insert((face.bold, letter.glyph));
                }
                self.text.push_str("</g>\n");
            }
        }
        Ok(())
    }
}

/// The image with a cell to a pixel, or two where it has a short side, to be enlarged.
fn coarser(area: &Rect, columns: usize, rgb: &[[u8; 3]]) -> (usize, Vec<[u8; 3]>) {
    const ENOUGH: f64 = 200.0;
    let rows = rgb.len() / columns.max(1);
    let kept = |side: f64, all: usize| {
        let n = side.max((2.0 * side).min(ENOUGH)).ceil().max(1.0) as usize;
        (0..n).map(move |i| (2 * i + 1) * all / (2 * n))
    };
    let some = kept(area.h, rows)
        .flat_map(|row| kept(area.w, columns).map(move |column| rgb[row * columns + column]));
    (kept(area.w, columns).len(), some.collect())
}

fn id(bold: bool, glyph: u16) -> String {
    format!("{}{glyph}", if bold { 'b' } else { 'r' })
}

fn hex([r, g, b]: [u8; 3]) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}

fn opacity(what: &str, alpha: f64) -> String {
    if alpha >= 1.0 {
        return String::new();
    }
    format!(" {what}-opacity=\"{}\"", (alpha * 1000.0).round() / 1000.0)
}

fn paint(what: &str, Ink(rgb, alpha): Ink) -> String {
    format!("{what}=\"{}\"{}", hex(rgb), opacity(what, alpha))
}

/// A length with at most two decimals.
fn short(v: f64) -> String {
    let v = (v * 100.0).round() / 100.0;
    format!("{}", if v == 0.0 { 0.0 } else { v })
}

/// The data of a path in tenths of a pixel, without points nearer than half a pixel.
fn points(path: &[Point]) -> String {
    let tenth = |v: f64| short((v * 10.0).round() / 10.0);
    let mut out = String::new();
    let mut before: Option<Point> = None;
    for (i, (x, y)) in path.iter().enumerate() {
        let near = before.is_some_and(|(a, b)| (a - x).hypot(b - y) < 0.5);
        if near && i + 1 < path.len() {
            continue;
        }
        let pen = if before.is_none() { 'M' } else { 'L' };
        let _ = write!(out, "{pen}{} {}", tenth(*x), tenth(*y));
        before = Some((*x, *y));
    }
    out
}

fn place(r: &Rect) -> String {
    let [x, y, w, h] = [r.x, r.y, r.w, r.h].map(short);
    format!(" x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\"")
}

/// With entities for what XML and HTML reserve and blanks for control characters.
pub fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    let text = text.replace('>', "&gt;").replace('"', "&quot;");
    text.replace(|c: char| c.is_control(), " ")
}

#[cfg(test)]
mod tests {
    use super::super::font::Type;
    use super::*;

    #[test]
    fn every_mark_is_in_the_file() {
        let area = |x: f64| Rect::new(x, 5.0, 40.0, 30.0);
        let mut canvas = Canvas::new(120.0, 60.0).unwrap();
        let corners = [(0.0, 0.0), (9.04, 0.0), (9.0, -0.01)];
        canvas.fill(&corners, Ink([1, 2, 255], 0.25));
        canvas.image(&area(5.0), |v| {
            move |u| [(255.0 * u) as u8, (255.0 * v) as u8, 0]
        });
        let thin = Ink::full([0; 3]);
        let path = [(1.0, 1.0), (1.2, 1.0), (4.0, 1.0)];
        canvas.stroke(&path, 1.5, thin, Some(area(0.0)));
        canvas.dot((7.0, 8.0), 2.0, thin, None);
        canvas.dot((9.0, 8.0), 2.0, Ink::full([0, 255, 0]), None);
        canvas.text_upwards("p & <q>", Type::bold(12.0), [9; 3], (60.0, 30.0));
        let metadata = Metadata {
            description: "a \"test\"".into(),
            command: "mdn\u{1b} <x>".into(),
            config_hash: None,
        };
        let text = String::from_utf8(svg_bytes(&canvas, &metadata).unwrap()).unwrap();
        let text = text.replace(env!("CARGO_PKG_VERSION"), "VERSION");
        assert_eq!(text, include_str!("../fixture/marks.svg"));
    }
}
