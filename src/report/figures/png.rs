//! Pictures as PNG bytes that say where they came from.

use std::collections::BTreeMap;
use std::io::Cursor;

use png::{BitDepth, ColorType, Compression, Encoder, PixelDimensions, Unit};

use super::canvas::Image;
use super::origin::Origin;
use mdn_core::{Error, Result};

/// 200 dots an inch, in dots a metre.
const DOTS_PER_METRE: u32 = 7874;

fn fault(e: png::EncodingError) -> Error {
    Error::failed(format!("could not encode PNG: {e}"))
}

/// The PNG, with a text chunk for each of the origin's entries.
pub fn png_bytes(image: &Image, origin: &Origin) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, image.width as u32, image.height as u32);
    encoder.set_color(ColorType::Rgb);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_pixel_dims(Some(PixelDimensions {
        xppu: DOTS_PER_METRE,
        yppu: DOTS_PER_METRE,
        unit: Unit::Meter,
    }));
    for (key, text) in origin.entries() {
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

/// A figure's PNG at a `factor`-th of its width and height, each pixel the mean of
/// `factor` x `factor`, in the 256 colours that suit it best, without the texts: about an eighth of
/// its bytes at `factor` 2.
pub fn smaller(bytes: &[u8], factor: usize) -> Result<Vec<u8>> {
    let fault = |e: png::DecodingError| Error::failed(format!("could not read PNG: {e}"));
    let mut reader = png::Decoder::new(Cursor::new(bytes))
        .read_info()
        .map_err(fault)?;
    let size = reader.output_buffer_size().unwrap_or_default();
    let mut rgb = vec![0; size];
    let info = reader.next_frame(&mut rgb).map_err(fault)?;
    if (info.color_type, info.bit_depth) != (ColorType::Rgb, BitDepth::Eight) {
        return Err(Error::failed(format!(
            "expected a PNG of 8-bit RGB, as figures are; got {:?} of {:?}",
            info.color_type, info.bit_depth
        )));
    }
    let pixels = rgb.as_chunks::<3>().0;
    let width = info.width as usize;
    let (columns, rows) = (width / factor, info.height as usize / factor);
    let mut cells = Vec::with_capacity(columns * rows);
    for row in 0..rows {
        for column in 0..columns {
            let mut sums = [0usize; 3];
            for k in 0..factor * factor {
                let at = (row * factor + k / factor) * width + column * factor + k % factor;
                for (sum, value) in sums.iter_mut().zip(pixels[at]) {
                    *sum += usize::from(value);
                }
            }
            cells.push(sums.map(|sum| (sum / (factor * factor)) as u8));
        }
    }
    bare_png(columns, &few_colours(columns, &cells)?)
}

/// The cells in at most 256 colours.
fn few_colours(columns: usize, cells: &[[u8; 3]]) -> Result<Vec<[u8; 3]>> {
    let fault = |e: quantizr::Error| Error::failed(format!("could not reduce colours: {e}"));
    let rgba: Vec<u8> = cells.iter().flat_map(|&[r, g, b]| [r, g, b, 255]).collect();
    let image =
        quantizr::Image::new(&rgba, columns, cells.len() / columns.max(1)).map_err(fault)?;
    let mut found = quantizr::QuantizeResult::quantize(&image, &quantizr::Options::default());
    // Dithering would spoil areas of one colour, and compresses badly.
    found.set_dithering_level(0.0).map_err(fault)?;
    let mut indices = vec![0; cells.len()];
    found.remap_image(&image, &mut indices).map_err(fault)?;
    let palette = &found.get_palette().entries;
    let colour = |&i: &u8| {
        let entry = &palette[usize::from(i)];
        [entry.r, entry.g, entry.b]
    };
    Ok(indices.iter().map(colour).collect())
}

/// A PNG of `columns` cells across and nothing but its colours, one byte a cell where they are few:
/// what an SVG embeds.
pub fn bare_png(columns: usize, cells: &[[u8; 3]]) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let rows = cells.len() / columns.max(1);
    let mut encoder = Encoder::new(&mut bytes, columns as u32, rows as u32);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_compression(Compression::High);
    let colours: BTreeMap<[u8; 3], u8> = {
        let mut all: BTreeMap<[u8; 3], u8> = BTreeMap::new();
        for cell in cells {
            all.insert(*cell, 0);
            if all.len() > 256 {
                break;
            }
        }
        for (i, index) in all.values_mut().enumerate() {
            *index = i as u8;
        }
        all
    };
    let data: Vec<u8> = if colours.len() > 256 {
        encoder.set_color(ColorType::Rgb);
        cells.as_flattened().to_vec()
    } else {
        encoder.set_color(ColorType::Indexed);
        let palette: Vec<[u8; 3]> = colours.keys().copied().collect();
        encoder.set_palette(palette.into_flattened());
        // Differences of palette indices mean nothing: filters only spoil them.
        encoder.set_filter(png::Filter::NoFilter);
        cells.iter().map(|cell| colours[cell]).collect()
    };
    let mut writer = encoder.write_header().map_err(fault)?;
    writer.write_image_data(&data).map_err(fault)?;
    writer.finish().map_err(fault)?;
    Ok(bytes)
}
