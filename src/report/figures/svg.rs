//! Figures as SVG that looks the same everywhere: text as outlines, heat maps as embedded PNG.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use base64::engine::general_purpose::STANDARD;
use base64::Engine as _;

use super::canvas::Canvas;
use super::font::Type;
use super::origin::Origin;
use super::outlines;
use super::png::bare_png;
use super::shapes::{Align, Ink, Item, Point, Rect};
use mdn_core::Result;

/// The figure, with its origin in `<title>` and `<metadata>`.
pub fn svg_bytes(canvas: &Canvas, origin: &Origin) -> Result<Vec<u8>> {
    let (width, height) = canvas.size();
    let mut sheet = Sheet::default();
    for item in canvas.items() {
        sheet.item(item)?;
    }
    sheet.group("", "");
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" xmlns:xlink=\"http://www.w3.org/1999/xlink\" \
         width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\">\n<title>{}</title>\n\
         <metadata>\n",
        escaped(&origin.description)
    );
    for (key, text) in origin.entries() {
        let _ = writeln!(out, "{key}: {}", escaped(text));
    }
    out.push_str("</metadata>\n<defs>\n");
    for (bold, glyph) in &sheet.letters {
        let path = outlines::path(*glyph, *bold)?;
        let _ = writeln!(out, "<path id=\"{}\" d=\"{path}\"/>", id(*bold, *glyph));
    }
    for (i, clip) in sheet.clips.iter().enumerate() {
        let _ = writeln!(out, "<clipPath id=\"c{i}\">{}</clipPath>", rect(clip));
    }
    let _ = write!(
        out,
        "</defs>\n<rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n\
         <g stroke-linecap=\"round\" stroke-linejoin=\"round\">\n{}</g>\n</svg>\n",
        sheet.body
    );
    Ok(out.into_bytes())
}

/// What stands between the outer tags; neighbours of one look share a group.
#[derive(Default)]
struct Sheet {
    body: String,
    group: String,
    /// Colour of an open group of discs.
    disc: [u8; 3],
    clips: Vec<Rect>,
    letters: BTreeSet<(bool, u16)>,
}

impl Sheet {
    /// Opens a group with these attributes and says so, unless one of the same name is open already;
    /// closes it for none.
    fn group(&mut self, name: &str, attributes: &str) -> bool {
        if name == self.group {
            return false;
        }
        if !self.group.is_empty() {
            self.body.push_str("</g>\n");
        }
        if !attributes.is_empty() {
            let _ = writeln!(self.body, "<g {attributes}>");
        }
        name.clone_into(&mut self.group);
        true
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

    fn item(&mut self, item: &Item) -> Result<()> {
        match item {
            Item::Fill { corners, ink } => {
                let look = paint("fill", *ink);
                self.group(&look, &look);
                let _ = writeln!(self.body, "<path d=\"{}z\"/>", points(corners));
            }
            Item::Line {
                path,
                width,
                ink,
                within,
            } => {
                let clip = self.clip(*within);
                let look = paint("stroke", *ink);
                let width = short(*width);
                let all = format!("fill=\"none\" {look} stroke-width=\"{width}\"{clip}");
                let data = points(path);
                if path.len() > 1 {
                    self.group(&all, &all);
                    let _ = writeln!(self.body, "<path d=\"{data}\"/>");
                    return Ok(());
                }
                // Discs come by the thousand, in turns of colour. A path of one point is seen as one
                // if it has a length, be it nothing.
                let name = format!("disc {width} {}{clip}", ink.1);
                if self.group(&name, &all) {
                    self.disc = ink.0;
                }
                let own = if ink.0 == self.disc {
                    String::new()
                } else {
                    format!(" {}", paint("stroke", Ink::full(ink.0)))
                };
                let _ = writeln!(self.body, "<path d=\"{data}h0\"{own}/>");
            }
            Item::Image { area, columns, rgb } => {
                self.group("", "");
                let png = STANDARD.encode(bare_png(*columns, rgb)?);
                let _ = writeln!(
                    self.body,
                    "<image{} preserveAspectRatio=\"none\" \
                     xlink:href=\"data:image/png;base64,{png}\"/>",
                    place(area)
                );
            }
            Item::Text {
                text,
                face,
                rgb,
                at,
                align,
                up,
            } => self.text(text, *face, *rgb, *at, (*align, *up))?,
        }
        Ok(())
    }

    fn text(
        &mut self,
        text: &str,
        face: Type,
        rgb: [u8; 3],
        at: Point,
        (align, up): (Align, bool),
    ) -> Result<()> {
        let line = outlines::set(text, face)?;
        self.group("", "");
        let before = match align {
            Align::Left => 0.0,
            Align::Middle => 0.5 * line.width,
            Align::Right => line.width,
        };
        let turn = if up { "rotate(-90)" } else { "" };
        let _ = write!(
            self.body,
            "<g {} role=\"img\" aria-label=\"{}\" transform=\"translate({} {}){turn}scale({:.6})\">",
            paint("fill", Ink::full(rgb)),
            escaped(text),
            short(at.0),
            short(at.1),
            face.em / f64::from(line.units),
        );
        for letter in &line.letters {
            let (x, id) = (f64::from(letter.x - before), id(face.bold, letter.glyph));
            let _ = write!(self.body, "<use xlink:href=\"#{id}\" x=\"{x:.0}\"/>");
            self.letters.insert((face.bold, letter.glyph));
        }
        self.body.push_str("</g>\n");
        Ok(())
    }
}

fn id(bold: bool, glyph: u16) -> String {
    format!("{}{glyph}", if bold { 'b' } else { 'r' })
}

fn paint(what: &str, Ink([r, g, b], alpha): Ink) -> String {
    let opacity = match alpha {
        a if a >= 1.0 => String::new(),
        a => format!(" {what}-opacity=\"{}\"", (a * 1000.0).round() / 1000.0),
    };
    format!("{what}=\"#{r:02x}{g:02x}{b:02x}\"{opacity}")
}

/// A length with at most two decimals.
fn short(v: f64) -> String {
    let v = (v * 100.0).round() / 100.0;
    format!("{}", if v == 0.0 { 0.0 } else { v })
}

/// The data of a path, to a tenth of a pixel. Points nearer than half a pixel to the one before are
/// left out: a contour line of a fine grid has thousands.
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

fn rect(r: &Rect) -> String {
    format!("<rect{}/>", place(r))
}

/// Without what XML gives another meaning, or none.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn area(x: f64) -> Rect {
        Rect {
            x,
            y: 5.0,
            w: 40.0,
            h: 30.0,
        }
    }

    #[test]
    fn every_shape_is_in_the_file_and_its_tags_are_closed() {
        let mut canvas = Canvas::new(120.0, 60.0).unwrap();
        canvas.fill(
            &[(0.0, 0.0), (9.04, 0.0), (9.0, -0.01)],
            Ink([1, 2, 255], 0.25),
        );
        canvas.image(&area(5.0), |v| {
            move |u| [(255.0 * u) as u8, (255.0 * v) as u8, 0]
        });
        let thin = Ink::full([0; 3]);
        canvas.stroke(
            &[(1.0, 1.0), (1.2, 1.0), (4.0, 1.0)],
            1.5,
            thin,
            Some(area(0.0)),
        );
        canvas.dot((7.0, 8.0), 2.0, thin, None);
        canvas.dot((9.0, 8.0), 2.0, Ink::full([0, 255, 0]), None);
        canvas.text_upwards("p & <q>", Type::bold(12.0), [9; 3], (60.0, 30.0));
        let origin = Origin {
            description: "a \"test\"".into(),
            command: "mdn\u{1b} <x>".into(),
            config_hash: None,
        };
        let text = String::from_utf8(svg_bytes(&canvas, &origin).unwrap()).unwrap();
        for part in [
            "width=\"120\" height=\"60\"",
            "<title>a &quot;test&quot;</title>",
            "Command: mdn  &lt;x&gt;\n",
            "<g fill=\"#0102ff\" fill-opacity=\"0.25\">\n<path d=\"M0 0L9 0L9 0z\"/>",
            "<image x=\"5\" y=\"5\" width=\"40\" height=\"30\" preserveAspectRatio",
            "stroke-width=\"1.5\" clip-path=\"url(#c0)\">\n<path d=\"M1 1L4 1\"/>",
            "stroke-width=\"4\">\n<path d=\"M7 8h0\"/>\n<path d=\"M9 8h0\" stroke=\"#00ff00\"/>\n</g>",
            "aria-label=\"p &amp; &lt;q&gt;\" transform=\"translate(60 30)rotate(-90)scale(",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        // Every `<a ...>` has its `</a>`, every `<a .../>` has none.
        let mut open: Vec<&str> = Vec::new();
        for tag in text.split('<').skip(1) {
            let (inside, _) = tag.split_once('>').unwrap();
            let name = inside.split([' ', '\n', '/']).next().unwrap();
            match inside.strip_prefix('/') {
                Some(closed) => assert_eq!(open.pop(), Some(closed)),
                None if inside.ends_with('/') => {}
                None => open.push(name),
            }
        }
        assert!(open.is_empty(), "{open:?}");
        let drawn: BTreeSet<&str> = text.split("id=\"").skip(1).map(|t| &t[..4]).collect();
        for used in text.split("href=\"#").skip(1) {
            assert!(drawn.iter().any(|d| d.starts_with(&used[..3])), "{used}");
        }
    }

    #[test]
    fn an_embedded_picture_has_its_colours_back() {
        let few: Vec<[u8; 3]> = (0..60u8).map(|i| [i % 5, 7, 200]).collect();
        let many: Vec<[u8; 3]> = (0..600u32)
            .map(|i| [(i % 256) as u8, (i / 256) as u8, 3])
            .collect();
        for cells in [few, many] {
            let bytes = bare_png(20, &cells).unwrap();
            let mut decoder = ::png::Decoder::new(std::io::Cursor::new(bytes));
            decoder.set_transformations(::png::Transformations::EXPAND);
            let mut reader = decoder.read_info().unwrap();
            let mut back = vec![0; reader.output_buffer_size().unwrap()];
            let info = reader.next_frame(&mut back).unwrap();
            assert_eq!(
                (info.width as usize, info.height as usize),
                (20, cells.len() / 20)
            );
            assert_eq!(back, cells.as_flattened());
        }
    }
}
