//! Pictures as PNG bytes that say where they came from.

use png::{BitDepth, ColorType, Encoder, PixelDimensions, Unit};

use super::canvas::Image;
use crate::{Error, Result};

/// 200 dots an inch, in dots a metre.
const DOTS_PER_METRE: u32 = 7874;

/// The PNG, with the chunks `Software`, `Description` and `Command`.
pub fn png_bytes(image: &Image, description: &str, command: &str) -> Result<Vec<u8>> {
    let fault = |e: png::EncodingError| Error::failed(format!("could not encode PNG: {e}"));
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, image.width as u32, image.height as u32);
    encoder.set_color(ColorType::Rgb);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_pixel_dims(Some(PixelDimensions {
        xppu: DOTS_PER_METRE,
        yppu: DOTS_PER_METRE,
        unit: Unit::Meter,
    }));
    let version = concat!("mdn ", env!("CARGO_PKG_VERSION"));
    for (key, text) in [
        ("Software", version),
        ("Description", description),
        ("Command", command),
    ] {
        let (key, text) = (key.to_owned(), text.to_owned());
        // The plain text chunk is the one most programs show; it holds Latin-1 only.
        if text.chars().all(|c| u32::from(c) < 256) {
            encoder.add_text_chunk(key, text).map_err(fault)?;
        } else {
            encoder.add_itxt_chunk(key, text).map_err(fault)?;
        }
    }
    let mut writer = encoder.write_header().map_err(fault)?;
    writer.write_image_data(&image.rgb).map_err(fault)?;
    writer.finish().map_err(fault)?;
    Ok(bytes)
}
