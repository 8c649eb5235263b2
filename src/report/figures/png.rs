//! Pictures as PNG bytes that say where they came from.

use std::collections::BTreeSet;
use std::io::Cursor;

use png::{BitDepth, ColorType, Compression, Encoder, PixelDimensions, Unit};

use super::pixels::{means, Image};
use super::Metadata;
use mdn_core::{Error, Result};

/// 200 dots an inch, in dots a metre.
const DOTS_PER_METRE: u32 = 7874;

fn fault(e: impl std::fmt::Display) -> Error {
    Error::failed(format!("could not encode or decode PNG: {e}"))
}

/// The PNG, with a text chunk for each entry of the metadata.
pub fn png_bytes(image: &Image, metadata: &Metadata) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, image.width as u32, image.height as u32);
    encoder.set_color(ColorType::Rgb);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_pixel_dims(Some(PixelDimensions {
        xppu: DOTS_PER_METRE,
        yppu: DOTS_PER_METRE,
        unit: Unit::Meter,
    }));
    for (key, text) in metadata.entries() {
        let (key, text) = (key.to_owned(), text.to_owned());
        // The plain text chunk is the one most programs show; it holds Latin-1 only.
        if text.chars().all(|c| u32::from(c) < 256) {
            encoder.add_text_chunk(key, text).map_err(fault)?;
        } else {
            encoder.add_itxt_chunk(key, text).map_err(fault)?;
        }
    }
    encoded(encoder, image.rgb.as_flattened())?;
    Ok(bytes)
}

fn encoded(encoder: Encoder<'_, &mut Vec<u8>>, data: &[u8]) -> Result<()> {
    let mut writer = encoder.write_header().map_err(fault)?;
    writer.write_image_data(data).map_err(fault)?;
    writer.finish().map_err(fault)
}

/// A figure's PNG at a `factor`-th of its width and height, each pixel the mean of
/// `factor` x `factor`, in the 256 colours that suit it best, without the texts: about an eighth of
/// its bytes at `factor` 2.
pub fn smaller(bytes: &[u8], factor: usize) -> Result<Vec<u8>> {
    let decoder = png::Decoder::new(Cursor::new(bytes));
    let mut reader = decoder.read_info().map_err(fault)?;
    let mut rgb = vec![0; reader.output_buffer_size().unwrap_or_default()];
    let info = reader.next_frame(&mut rgb).map_err(fault)?;
    if (info.color_type, info.bit_depth) != (ColorType::Rgb, BitDepth::Eight) {
        return Err(Error::failed(format!(
            "expected a PNG of 8-bit RGB, as figures are; got {:?} of {:?}",
            info.color_type, info.bit_depth
        )));
    }
    let columns = info.width as usize / factor;
    let cells = means(rgb.as_chunks().0, info.width as usize, factor);
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
    let colours = indices.iter().map(|i| &palette[usize::from(*i)]);
    Ok(colours.map(|c| [c.r, c.g, c.b]).collect())
}

/// A PNG without metadata, with a palette where it has up to 256 colours.
pub fn bare_png(columns: usize, cells: &[[u8; 3]]) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let rows = cells.len() / columns.max(1);
    let mut encoder = Encoder::new(&mut bytes, columns as u32, rows as u32);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_compression(Compression::High);
    let mut colours = BTreeSet::new();
    let few = cells.iter().all(|cell| {
        colours.insert(*cell);
        colours.len() <= 256
    });
    if !few {
        encoder.set_color(ColorType::Rgb);
        encoded(encoder, cells.as_flattened())?;
        return Ok(bytes);
    }
    let palette: Vec<[u8; 3]> = colours.into_iter().collect();
    let index = |cell| palette.binary_search(cell).unwrap_or_default() as u8;
    let indices: Vec<u8> = cells.iter().map(index).collect();
    encoder.set_color(ColorType::Indexed);
    encoder.set_palette(palette.into_flattened());
    // Differences of palette indices mean nothing: filters only spoil them.
    encoder.set_filter(png::Filter::NoFilter);
    encoded(encoder, &indices)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_embedded_picture_has_its_colours_back() {
        let few: Vec<[u8; 3]> = (0..60u8).map(|i| [i % 5, 7, 200]).collect();
        let many: Vec<[u8; 3]> = (0..600u32)
            .map(|i| [(i % 256) as u8, (i / 256) as u8, 3])
            .collect();
        for cells in [few, many] {
            let bytes = bare_png(20, &cells).unwrap();
            let mut decoder = png::Decoder::new(Cursor::new(bytes));
            decoder.set_transformations(png::Transformations::EXPAND);
            let mut reader = decoder.read_info().unwrap();
            let mut back = vec![0; reader.output_buffer_size().unwrap()];
            let info = reader.next_frame(&mut back).unwrap();
            let size = (info.width as usize, info.height as usize);
            assert_eq!(size, (20, cells.len() / 20));
            assert_eq!(back, cells.as_flattened());
        }
    }

    #[test]
    fn a_smaller_picture_has_the_means_of_its_pixels() {
        let image = Image {
            width: 2,
            height: 2,
            rgb: vec![[0, 10, 0], [100, 20, 0], [200, 30, 0], [100, 40, 255]],
        };
        let bytes = png_bytes(&image, &Metadata::default()).unwrap();
        let small = smaller(&bytes, 2).unwrap();
        assert_eq!(small, bare_png(1, &[[100, 25, 64]]).unwrap());
        assert!(smaller(&bytes[..30], 2).is_err());
    }
}
