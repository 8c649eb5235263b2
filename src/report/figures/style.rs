//! The look that every figure shares: sizes, colours, titles.

use super::canvas::{Align, Canvas, Point};
use super::font::Type;
pub use crate::report::digits::number as count;

/// Text and headings.
pub const DARK: [u8; 3] = [0x1f, 0x24, 0x2e];
/// Explanations and tick labels.
pub const GREY: [u8; 3] = [0x5f, 0x67, 0x74];
/// Axes and frames.
pub const AXIS: [u8; 3] = [0x9a, 0xa1, 0xab];
/// Lines behind the data.
pub const MESH: [u8; 3] = [0xe3, 0xe6, 0xea];
/// Samples of a model.
pub const BLUE: [u8; 3] = [0x00, 0x72, 0xb2];
/// Points of the data.
pub const ORANGE: [u8; 3] = [0xd5, 0x5e, 0x00];

/// The figure's title.
pub const TITLE: Type = Type::bold(29.0);
/// The line below it.
pub const SUBTITLE: Type = Type::regular(17.0);
/// A panel's title.
pub const HEADING: Type = Type::bold(20.0);
/// The line below it.
pub const NOTE: Type = Type::regular(15.5);
/// Labels of axes and of curves.
pub const LABEL: Type = Type::regular(17.0);
/// Names of models.
pub const NAME: Type = Type::bold(17.0);
/// Numbers at axes.
pub const TICK: Type = Type::regular(15.0);

/// Space at the figure's sides.
pub const MARGIN: f64 = 30.0;
/// Height of the strip with the title.
pub const STRIP: f64 = 106.0;
/// Height of a panel's title with its note.
pub const HEAD: f64 = 58.0;

/// Number of different colours.
pub const COLOURS: usize = MODELS.len();

/// Colours that colour-blind readers can tell apart (Okabe and Ito 2008), without the palest.
const MODELS: [[u8; 3]; 7] = [
    BLUE,
    ORANGE,
    [0x00, 0x9e, 0x73],
    [0xcc, 0x79, 0xa7],
    [0xe6, 0x9f, 0x00],
    [0x56, 0xb4, 0xe9],
    [0x4b, 0x55, 0x63],
];

/// The colour of the `i`-th model of an experiment.
pub fn model_colour(i: usize) -> [u8; 3] {
    MODELS[i % MODELS.len()]
}

/// The same for text: dark enough to be read on white (contrast 4.5, WCAG 2.2).
pub fn name_colour(i: usize) -> [u8; 3] {
    let linear = |c: u8| match f64::from(c) / 255.0 {
        v if v <= 0.04045 => v / 12.92,
        v => ((v + 0.055) / 1.055).powf(2.4),
    };
    let luminance =
        |c: [u8; 3]| 0.2126 * linear(c[0]) + 0.7152 * linear(c[1]) + 0.0722 * linear(c[2]);
    let mut rgb = model_colour(i);
    while 1.05 / (luminance(rgb) + 0.05) < 4.5 {
        rgb = rgb.map(|c| (f64::from(c) * 0.97) as u8);
    }
    rgb
}

/// The title in bold and below it, in grey, `facts` and what made the figure.
pub fn strip(canvas: &mut Canvas, title: &str, command: &str, facts: &str) {
    let room = canvas.width as f64 - 2.0 * MARGIN;
    title.clone_into(&mut canvas.title);
    let title = TITLE.squeeze(title, room);
    canvas.text(&title, TITLE, DARK, (MARGIN, 46.0), Align::Left);
    let after = format!("   ·   {facts}   ·   mdn {}", env!("CARGO_PKG_VERSION"));
    let command = SUBTITLE.squeeze(command, room - SUBTITLE.width(&after));
    let line = format!("{command}{after}");
    canvas.text(&line, SUBTITLE, GREY, (MARGIN, 77.0), Align::Left);
}

/// A panel's letter, title and note, above its upper left corner at `at`, at most `room` wide.
pub fn heading(canvas: &mut Canvas, letter: usize, title: &str, note: &str, at: Point, room: f64) {
    let one = |i: usize| char::from(b'a' + (i % 26) as u8).to_string();
    let letter = match letter / 26 {
        0 => one(letter),
        round => one(round - 1) + &one(letter),
    };
    let indent = f64::max(24.0, HEADING.width(&letter) + 9.0);
    let (x, y) = (at.0, at.1 - 36.0);
    canvas.text(&letter, HEADING, DARK, (x, y), Align::Left);
    let title = HEADING.squeeze(title, room - indent);
    canvas.text(&title, HEADING, DARK, (x + indent, y), Align::Left);
    let note = NOTE.squeeze(note, room - indent);
    canvas.text(&note, NOTE, GREY, (x + indent, y + 23.0), Align::Left);
}
