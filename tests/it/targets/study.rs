//! Studies of estimators: their files, and the tables that they leave.

use std::path::Path;

use serde::{de::DeserializeOwned, Serialize};

use mdn::experiment::config::study::{load, to_toml};
use mdn::experiment::store::{csv_rows, read_rows, write_atomic};
use mdn_core::study::{EntropyRow, GradientRow, RelaxedRow};

use super::experiment::without_comments;
use super::{choice, chosen, folder, read_or_named, write, Seeds, Target};

const TABLES: [&str; 4] = ["study.toml", "relaxed.csv", "entropy.csv", "gradients.csv"];

/// Which file, then its content.
pub fn target() -> Target {
    let dir = folder();
    Box::new(move |bytes| {
        let (which, rest) = choice(bytes, TABLES.len());
        let path = dir.path().join(TABLES[which]);
        write(&path, rest);
        match which {
            0 => settings(&path),
            1 => rows::<RelaxedRow>(&path),
            2 => rows::<EntropyRow>(&path),
            _ => rows::<GradientRow>(&path),
        }
    })
}

fn rows<R: std::fmt::Debug + Serialize + DeserializeOwned>(path: &Path) -> bool {
    let write = |rows: &[R]| write_atomic(path, &csv_rows(rows)?);
    again(path, || read_rows::<R>(path), write)
}

fn settings(path: &Path) -> bool {
    let spec = load(path, &[]);
    if let Ok(spec) = &spec {
        let text = to_toml(spec).expect("what was read can be written");
        write(path, &text);
        let again = load(path, &[]).unwrap_or_else(|e| panic!("{e}\n{text}"));
        assert_eq!(to_toml(&again).expect("TOML"), text);
    }
    read_or_named(spec, path)
}

/// Rows that were read can be written and are read as the same.
pub(super) fn again<R: std::fmt::Debug, W>(
    path: &Path,
    read: impl Fn() -> mdn_core::Result<Vec<R>>,
    write: impl Fn(&[R]) -> mdn_core::Result<W>,
) -> bool {
    let rows = read();
    if let Ok(rows) = &rows {
        write(rows).expect("what was read can be written");
        let back = read().unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(format!("{rows:?}"), format!("{back:?}"));
    }
    read_or_named(rows, path)
}

/// The shipped study and tables of one line.
pub fn seeds() -> Seeds {
    let shipped = without_comments(include_str!("../../../experiments/studies/estimators.toml"));
    let relaxed = "temperature,entropy,exact_mixture,kl_to_mixture,kl_from_mixture,total_variation,\
                   mean,variance,joint_entropy,conditional_entropy,chi2\n0.1,1,2,3,4,0.5,6,7,8,9,10\n";
    let entropy =
        "temperature,density,inner,samples,mean,std_err,truth,bias,bias_std_err,predicted\n\
                   0.1,midpoint,7,100,0.3,1e-9,2,-0.5,0.25,-0.5\n0.5,joint,,10,1,2,3,4,5,inf\n";
    let gradients =
        "strategy,temperature,parameter,evaluations,estimates,relative_bias,bias_std_err,sd,\
                     sd_std_err,cosine\nscore,,means,16,10,0.5,0.1,2,0.3,0.9\n";
    let small = "name = \"two\"\n[mixture]\nweights = [0.5, 0.5]\nmeans = [0.0, 4]\nstd_devs = [1, 1.0]\n\
                 [gradients]\nstrategies = [\"score\", { gumbel_softmax = { temperature = 0.2 } }]\n";
    [
        ("shipped", 0, shipped.as_str()),
        ("small", 0, small),
        ("relaxed", 1, relaxed),
        ("entropy", 2, entropy),
        ("gradients", 3, gradients),
    ]
    .map(|(name, file, text)| (name.to_owned(), chosen(file, text.as_bytes())))
    .to_vec()
}
