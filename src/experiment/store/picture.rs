//! `picture.safetensors`: the grids and points that a run's figures are drawn from.

use std::collections::HashMap;
use std::fmt::Display;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};

use super::{BaseComponents, Landing, Picture, RunDir};
use mdn_core::{Error, Result};

const FILE: &str = "picture.safetensors";

/// Raised when the meaning of a tensor changes; new ones may be absent and raise nothing.
const VERSION: u32 = 1;

/// All of it stands under one key, because the order of several would differ between writes.
const KEY: &str = "mdn.picture";

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
        match fs::read(&path) {
            Ok(bytes) => decode(&bytes, &path).map(Some),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io(&path, "could not read")(e)),
        }
    }
}

fn encode(picture: &Picture) -> std::result::Result<Vec<u8>, String> {
    let text = |e: &dyn Display| e.to_string();
    let grid = vec![picture.side, picture.side];
    let floats = |v: &[f32]| v.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
    let pairs = |v: &[[f32; 2]]| floats(v.as_flattened());
    let mut tensors = vec![
        ("log_q", Dtype::F32, grid.clone(), floats(&picture.log_q)),
        (
            "points",
            Dtype::F32,
            vec![picture.points.len(), 2],
            pairs(&picture.points),
        ),
        (
            "samples",
            Dtype::F32,
            vec![picture.samples.len(), 2],
            pairs(&picture.samples),
        ),
    ];
    if let Some(p) = &picture.log_p {
        tensors.push(("log_p", Dtype::F32, grid.clone(), floats(p)));
    }
    if let Some(part) = &picture.part {
        let bytes = part.iter().flat_map(|k| k.to_le_bytes()).collect();
        tensors.push(("part", Dtype::U32, grid, bytes));
    }
    let column = |v: &[u32]| v.iter().flat_map(|k| k.to_le_bytes()).collect::<Vec<u8>>();
    if let Some(landing) = &picture.landing {
        let Landing {
            z,
            part,
            share,
            label,
            components,
        } = landing;
        tensors.push(("z", Dtype::F32, vec![z.len(), 2], pairs(z)));
        for (name, values) in [("point_part", part), ("point_label", label)] {
            if let Some(v) = values {
                tensors.push((name, Dtype::U32, vec![v.len(), 1], column(v)));
            }
        }
        if let Some(v) = share {
            tensors.push(("point_share", Dtype::F32, vec![v.len(), 1], floats(v)));
        }
        if let Some(c) = components {
            let k = c.weights.len();
            let weights = floats(&c.weights);
            tensors.push(("base_weights", Dtype::F32, vec![k, 1], weights));
            tensors.push(("base_means", Dtype::F32, vec![k, 2], pairs(&c.means)));
            let std_devs = pairs(&c.std_devs);
            tensors.push(("base_std_devs", Dtype::F32, vec![k, 2], std_devs));
        }
    }
    let views = tensors
        .iter()
        .map(|(name, dtype, shape, bytes)| {
            TensorView::new(*dtype, shape.clone(), bytes).map(|view| (*name, view))
        })
        .collect::<std::result::Result<Vec<_>, _>>()
        .map_err(|e| text(&e))?;
    let header = Header {
        version: VERSION,
        side: picture.side,
        view: picture.view,
    };
    let header = serde_json::to_string(&header).map_err(|e| text(&e))?;
    let meta = HashMap::from([(KEY.to_owned(), header)]);
    safetensors::serialize(views, Some(meta)).map_err(|e| text(&e))
}

fn decode(bytes: &[u8], path: &Path) -> Result<Picture> {
    let fault = |what: &dyn Display| Error::request(format!("{}: {what}", path.display()));
    let (_, meta) = SafeTensors::read_metadata(bytes)
        .map_err(|e| fault(&format!("not a whole safetensors file: {e}")))?;
    let header = meta.metadata().as_ref().and_then(|m| m.get(KEY));
    let header: Header = header
        .and_then(|text| serde_json::from_str(text).ok())
        .ok_or_else(|| {
            fault(&format!(
                "expected metadata `{KEY}`; got none that is readable"
            ))
        })?;
    if header.version != VERSION {
        return Err(fault(&format!(
            "expected format version {VERSION}; got {}: written by another version of mdn",
            header.version
        )));
    }
    let finite = header
        .view
        .iter()
        .all(|(a, b)| a.is_finite() && b.is_finite() && a < b);
    if !finite || header.side < 2 {
        return Err(fault(
            &"expected a view with low < high and a side of 2 or more",
        ));
    }
    let tensors = SafeTensors::deserialize(bytes)
        .map_err(|e| fault(&format!("not a whole safetensors file: {e}")))?;
    let words = |name: &str, dtype: Dtype, cols: usize, rows: Option<usize>| {
        let view = tensors
            .tensor(name)
            .map_err(|e| fault(&format!("`{name}`: {e}")))?;
        let fits = matches!(*view.shape(), [n, c] if c == cols && rows.is_none_or(|r| r == n));
        if view.dtype() != dtype || !fits {
            return Err(fault(&format!(
                "`{name}`: expected {dtype:?} with {cols} columns; got {:?} {:?}",
                view.dtype(),
                view.shape()
            )));
        }
        let (words, _) = view.data().as_chunks::<4>();
        Ok(words.to_vec())
    };
    let side = header.side;
    let floats = |w: Vec<[u8; 4]>| w.into_iter().map(f32::from_le_bytes).collect::<Vec<_>>();
    let grid = |name| words(name, Dtype::F32, side, Some(side)).map(floats);
    let pairs = |name| {
        let flat = floats(words(name, Dtype::F32, 2, None)?);
        Ok::<_, Error>(flat.as_chunks::<2>().0.to_vec())
    };
    let has = |name: &str| tensors.names().contains(&name);
    let part = |w: Vec<[u8; 4]>| w.into_iter().map(u32::from_le_bytes).collect::<Vec<_>>();
    let points: Vec<[f32; 2]> = pairs("points")?;
    let n = Some(points.len());
    let of_points = |name| {
        let found = has(name).then(|| words(name, Dtype::U32, 1, n).map(part));
        found.transpose()
    };
    let landing = if has("z") {
        let components = if has("base_weights") {
            let weights = floats(words("base_weights", Dtype::F32, 1, None)?);
            let k = Some(weights.len());
            let of_components = |name| {
                let flat = floats(words(name, Dtype::F32, 2, k)?);
                Ok::<_, Error>(flat.as_chunks::<2>().0.to_vec())
            };
            Some(BaseComponents {
                means: of_components("base_means")?,
                std_devs: of_components("base_std_devs")?,
                weights,
            })
        } else {
            None
        };
        Some(Landing {
            z: floats(words("z", Dtype::F32, 2, n)?)
                .as_chunks::<2>()
                .0
                .to_vec(),
            part: of_points("point_part")?,
            share: has("point_share")
                .then(|| words("point_share", Dtype::F32, 1, n).map(floats))
                .transpose()?,
            label: of_points("point_label")?,
            components,
        })
    } else {
        None
    };
    Ok(Picture {
        view: header.view,
        side,
        log_p: has("log_p").then(|| grid("log_p")).transpose()?,
        log_q: grid("log_q")?,
        part: has("part")
            .then(|| words("part", Dtype::U32, side, Some(side)).map(part))
            .transpose()?,
        samples: pairs("samples")?,
        points,
        landing,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture() -> Picture {
        Picture {
            view: [(-1.0, 1.5), (-2.0, 2.0)],
            side: 2,
            log_p: Some(vec![0.0, -1.0, f32::NEG_INFINITY, 2.0]),
            log_q: vec![1.0, 2.0, 3.0, 4.0],
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
        let bare = Picture {
            log_p: None,
            part: None,
            landing: None,
            ..picture()
        };
        let landing = picture().landing.map(|l| Landing {
            part: None,
            share: None,
            label: None,
            components: None,
            ..l
        });
        let landed = Picture {
            landing,
            ..picture()
        };
        for p in [picture(), bare, landed] {
            let first = fs::read(run.write_picture(&p).unwrap()).unwrap();
            assert_eq!(run.read_picture().unwrap(), Some(p.clone()));
            assert_eq!(fs::read(run.write_picture(&p).unwrap()).unwrap(), first);
        }
    }

    #[test]
    fn a_damaged_or_foreign_picture_is_an_error_that_names_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunDir(dir.path().to_path_buf());
        let whole = encode(&picture()).unwrap();
        let foreign =
            String::from_utf8_lossy(&whole).replace("\\\"version\\\":1", "\\\"version\\\":9");
        assert!(foreign.contains("version\\\":9"));
        let mut short = picture();
        short.log_q.pop();
        assert!(run.write_picture(&short).is_err());
        let mut astray = picture();
        astray.points.pop();
        run.write_picture(&astray).unwrap();
        let text = run.read_picture().unwrap_err().to_string();
        assert!(text.contains("`z`: expected"), "{text}");
        let view = TensorView::new(Dtype::F32, vec![1], &[0; 4]).unwrap();
        let other = safetensors::serialize([("x", view)], None).unwrap();
        for bytes in [
            &whole[..40],
            &whole[..whole.len() - 3],
            &other,
            b"",
            foreign.as_bytes(),
        ] {
            fs::write(run.path(FILE), bytes).unwrap();
            let text = run.read_picture().unwrap_err().to_string();
            assert!(text.contains(FILE), "{text}");
        }
    }
}
