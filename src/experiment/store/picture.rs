//! `picture.safetensors`: the grids and points that a run's figures are drawn from.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};

use super::{read_if_there, unusable, RunDir};
use mdn_core::{Error, Result};

/// Shares of the mass that the levels of a [`Picture`] hold.
pub const SHARES: [f64; 3] = [0.5, 0.9, 0.99];

const FILE: &str = "picture.safetensors";

/// Raised when the meaning of a tensor changes, not when an optional tensor is added.
const VERSION: u32 = 1;

/// One metadata key holds everything: the order of several keys would differ between writes.
const KEY: &str = "mdn.picture";

/// What the figures of a two-dimensional run are drawn from, so that they can be drawn again
/// without the model. Grids are row by row, `side * side` cell centres, y from low to high and x
/// from low to high within a row.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// `[(x_min, x_max), (y_min, y_max)]`.
    pub view: [(f64, f64); 2],
    /// Cells along each side.
    pub side: usize,
    /// log p, where the truth is known; the highest in the cell where a point shows that it is narrow.
    pub log_p: Option<Vec<f32>>,
    /// log q of the model, likewise.
    pub log_q: Vec<f32>,
    /// The log p that samples of the truth exceed with the probabilities [`SHARES`]; older runs lack it.
    pub levels_p: Option<Vec<f32>>,
    /// The same of log q at samples of the model.
    pub levels_q: Option<Vec<f32>>,
    /// Which component, branch code or cluster a point belongs to; equal numbers, equal part.
    pub part: Option<Vec<u32>>,
    /// Samples of the model.
    pub samples: Vec<[f32; 2]>,
    /// Held-out points.
    pub points: Vec<[f32; 2]>,
    /// Where they land at the base; `None` for a model without one.
    pub landing: Option<Landing>,
}

/// Where the held-out points of a [`Picture`] land at the model's base, each through its own piece.
#[derive(Debug, Clone, PartialEq)]
pub struct Landing {
    /// z of every point.
    pub z: Vec<[f32; 2]>,
    /// The part of every point, numbered as in [`Picture::part`].
    pub part: Option<Vec<u32>>,
    /// The largest responsibility for every point, of a model with responsibilities.
    pub share: Option<Vec<f32>>,
    /// The mode or class that every point was drawn from, where that is known.
    pub label: Option<Vec<u32>>,
    /// Components of a base that is a mixture of Gaussians.
    pub components: Option<BaseComponents>,
}

/// Components of a base of two dimensions.
#[derive(Debug, Clone, PartialEq)]
pub struct BaseComponents {
    /// alpha_k.
    pub weights: Vec<f32>,
    /// mu_k.
    pub means: Vec<[f32; 2]>,
    /// sigma_k along each axis.
    pub std_devs: Vec<[f32; 2]>,
}

#[derive(Serialize, Deserialize)]
struct Header {
    version: u32,
    side: usize,
    view: [(f64, f64); 2],
}

impl RunDir {
    /// Writes `picture.safetensors`.
    pub fn write_picture(&self, picture: &Picture) -> Result<PathBuf> {
        let path = self.path(FILE);
        let bytes = encode(picture)
            .map_err(|e| Error::failed(format!("{}: could not write: {e}", path.display())))?;
        self.write(FILE, &bytes)
    }

    /// Reads `picture.safetensors`; `None` where the run left none, as one that is not
    /// two-dimensional does.
    pub fn read_picture(&self) -> Result<Option<Picture>> {
        let path = self.path(FILE);
        let bytes = read_if_there(&path)?;
        bytes.map(|bytes| decode(&bytes, &path)).transpose()
    }
}

fn encode(picture: &Picture) -> Result<Vec<u8>, String> {
    let side = picture.side;
    let landing = picture.landing.as_ref();
    let components = landing.and_then(|l| l.components.as_ref());
    let mut tensors = Vec::new();
    let mut floats = |name, columns: usize, values: Option<&[f32]>| {
        let words = values.map(|all| all.iter().map(|v| v.to_le_bytes()).collect::<Vec<_>>());
        tensors.extend(words.map(|words| (name, Dtype::F32, columns, words)));
    };
    floats("log_q", side, Some(&picture.log_q));
    floats("points", 2, Some(picture.points.as_flattened()));
    floats("samples", 2, Some(picture.samples.as_flattened()));
    floats("log_p", side, picture.log_p.as_deref());
    floats("levels_p", 1, picture.levels_p.as_deref());
    floats("levels_q", 1, picture.levels_q.as_deref());
    floats("z", 2, landing.map(|l| l.z.as_flattened()));
    floats("point_share", 1, landing.and_then(|l| l.share.as_deref()));
    floats("base_weights", 1, components.map(|c| &*c.weights));
    floats("base_means", 2, components.map(|c| c.means.as_flattened()));
    floats(
        "base_std_devs",
        2,
        components.map(|c| c.std_devs.as_flattened()),
    );
    for (name, columns, numbers) in [
        ("part", side, picture.part.as_ref()),
        ("point_part", 1, landing.and_then(|l| l.part.as_ref())),
        ("point_label", 1, landing.and_then(|l| l.label.as_ref())),
    ] {
        let words = numbers.map(|all| all.iter().map(|k| k.to_le_bytes()).collect());
        tensors.extend(words.map(|words| (name, Dtype::U32, columns, words)));
    }
    let views = tensors
        .iter()
        .map(|(name, dtype, columns, words)| {
            let shape = vec![words.len() / columns, *columns];
            TensorView::new(*dtype, shape, words.as_flattened()).map(|view| (*name, view))
        })
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| e.to_string())?;
    let header = Header {
        version: VERSION,
        side,
        view: picture.view,
    };
    let header = serde_json::to_string(&header).map_err(|e| e.to_string())?;
    let meta = HashMap::from([(KEY.to_owned(), header)]);
    safetensors::serialize(views, Some(meta)).map_err(|e| e.to_string())
}

fn decode(bytes: &[u8], path: &Path) -> Result<Picture> {
    let fault = |what: String| unusable(path, what);
    let damaged = |e| fault(format!("not a whole safetensors file: {e}"));
    let (_, meta) = SafeTensors::read_metadata(bytes).map_err(damaged)?;
    let header = meta.metadata().as_ref().and_then(|m| m.get(KEY));
    let header: Option<Header> = header.and_then(|text| serde_json::from_str(text).ok());
    let Some(header) = header else {
        let why = format!("expected metadata `{KEY}`; got none that is readable");
        return Err(fault(why));
    };
    let (version, side, view) = (header.version, header.side, header.view);
    if version != VERSION {
        return Err(fault(format!(
            "expected format version {VERSION}; got {version}: written by another version of mdn"
        )));
    }
    let finite = |(a, b): &(f64, f64)| a.is_finite() && b.is_finite() && a < b;
    if !view.iter().all(finite) || side < 2 {
        let why = "expected a view with low < high and a side of 2 or more";
        return Err(unusable(path, why));
    }
    let tensors = SafeTensors::deserialize(bytes).map_err(damaged)?;
    let floats = |name: &str, columns, rows| {
        let words = words(&tensors, name, (Dtype::F32, columns, rows)).map_err(fault)?;
        Ok::<_, Error>(words.map(|w| w.iter().map(|w| f32::from_le_bytes(*w)).collect::<Vec<_>>()))
    };
    let numbers = |name: &str, columns, rows| {
        let words = words(&tensors, name, (Dtype::U32, columns, rows)).map_err(fault)?;
        Ok::<_, Error>(words.map(|w| w.iter().map(|w| u32::from_le_bytes(*w)).collect()))
    };
    let missing = |name: &str| fault(format!("`{name}`: expected a tensor; got none"));
    let pairs = |name: &str, rows| {
        let flat = floats(name, 2, rows)?.ok_or_else(|| missing(name))?;
        Ok::<_, Error>(flat.as_chunks::<2>().0.to_vec())
    };
    let points: Vec<[f32; 2]> = pairs("points", None)?;
    let n = Some(points.len());
    let components = floats("base_weights", 1, None)?.map(|weights| {
        Ok::<_, Error>(BaseComponents {
            means: pairs("base_means", Some(weights.len()))?,
            std_devs: pairs("base_std_devs", Some(weights.len()))?,
            weights,
        })
    });
    let landing = match floats("z", 2, n)? {
        Some(z) => Some(Landing {
            z: z.as_chunks::<2>().0.to_vec(),
            part: numbers("point_part", 1, n)?,
            share: floats("point_share", 1, n)?,
            label: numbers("point_label", 1, n)?,
            components: components.transpose()?,
        }),
        None => None,
    };
    Ok(Picture {
        view,
        side,
        log_p: floats("log_p", side, Some(side))?,
        levels_p: floats("levels_p", 1, Some(SHARES.len()))?,
        levels_q: floats("levels_q", 1, Some(SHARES.len()))?,
        log_q: floats("log_q", side, Some(side))?.ok_or_else(|| missing("log_q"))?,
        part: numbers("part", side, Some(side))?,
        samples: pairs("samples", None)?,
        points,
        landing,
    })
}

/// The numbers of the tensor `name` as bytes; `None` where there is no such tensor. It must have this
/// format, so many columns and, if given, rows.
fn words<'a>(
    tensors: &'a SafeTensors<'_>,
    name: &str,
    (dtype, columns, rows): (Dtype, usize, Option<usize>),
) -> Result<Option<&'a [[u8; 4]]>, String> {
    let Ok(view) = tensors.tensor(name) else {
        return Ok(None);
    };
    let (found, shape) = (view.dtype(), view.shape());
    let fits = matches!(*shape, [n, c] if c == columns && rows.is_none_or(|r| r == n));
    match found == dtype && fits {
        true => Ok(Some(view.data().as_chunks::<4>().0)),
        false => Err(format!(
            "`{name}`: expected {dtype:?} with {columns} columns; got {found:?} {shape:?}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn picture() -> Picture {
        Picture {
            view: [(-1.0, 1.5), (-2.0, 2.0)],
            side: 2,
            log_p: Some(vec![0.0, -1.0, f32::NEG_INFINITY, 2.0]),
            log_q: vec![1.0, 2.0, 3.0, 4.0],
            levels_p: Some(vec![1.0, 0.0, -1.0]),
            levels_q: Some(vec![2.0, 1.0, 0.0]),
            part: Some(vec![0, 1, 7, u32::MAX]),
            samples: vec![[0.5, 0.25]; 3],
            points: vec![[1.0, 2.0], [3.0, -4.0]],
            landing: Some(Landing {
                z: vec![[0.5, 0.0], [f32::INFINITY, 1.0]],
                part: Some(vec![7, 0]),
                share: Some(vec![0.5, 1.0]),
                label: Some(vec![1, 1]),
                components: Some(BaseComponents {
                    weights: vec![0.25, 0.5, 0.25],
                    means: vec![[0.0, 1.0]; 3],
                    std_devs: vec![[1.0, 2.0]; 3],
                }),
            }),
        }
    }

    #[test]
    fn a_picture_reads_back_and_equal_pictures_are_equal_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunDir(dir.path().to_path_buf());
        assert_eq!(run.read_picture().unwrap(), None);
        let mut landed = picture();
        landed.landing = landed.landing.map(|l| Landing {
            part: None,
            share: None,
            label: None,
            components: None,
            ..l
        });
        let bare = Picture {
            log_p: None,
            levels_p: None,
            part: None,
            landing: None,
            ..picture()
        };
        for p in [picture(), bare, landed] {
            let first = fs::read(run.write_picture(&p).unwrap()).unwrap();
            assert_eq!(run.read_picture().unwrap(), Some(p.clone()));
            assert_eq!(fs::read(run.write_picture(&p).unwrap()).unwrap(), first);
        }
    }

    #[test]
    fn a_foreign_picture_is_an_error_that_says_why() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunDir(dir.path().to_path_buf());
        let mut short = picture();
        short.log_q.pop();
        assert!(run.write_picture(&short).is_err());
        let mut astray = picture();
        astray.points.pop();
        let mut newer = encode(&picture()).unwrap();
        let version = br#"\"version\":1"#;
        let mut places = newer.windows(version.len());
        let at = places.position(|w| w == version).unwrap();
        newer[at + version.len() - 1] = b'9';
        for (bytes, why) in [
            (encode(&astray).unwrap(), "`z`: expected"),
            (newer, "got 9: written by another version"),
        ] {
            fs::write(run.path(FILE), bytes).unwrap();
            let text = run.read_picture().unwrap_err().to_string();
            assert!(text.contains(FILE) && text.contains(why), "{text}");
        }
    }
}
