//! RUN: the folder of a trained run.

use std::path::Path;

use crate::experiment::run::Trained;
use crate::experiment::store::{RunDir, State};
use crate::{Error, Result};

use super::device::DeviceArg;

/// Reads a trained run; a folder that holds none is a bad request that says why.
pub(super) fn open(path: &Path) -> Result<Trained> {
    let place = RunDir(path.to_path_buf());
    let wrong = |why: String| Err(Error::request(format!("{}: {why}", path.display())));
    if !path.is_dir() {
        return wrong("expected the folder of a run; there is no such folder".to_owned());
    }
    let status = place.read_status()?;
    match status.state {
        State::Done => Trained::load(&place, &DeviceArg::Cpu.open()),
        State::Missing => wrong(
            "expected the folder of a run, as in results/<experiment>/<data>/<model>/seed-<n>; \
             it has no file `status`"
                .to_owned(),
        ),
        other => {
            let reason = match status.reason.as_str() {
                "" => String::new(),
                reason => format!(" ({reason})"),
            };
            wrong(format!(
                "expected a run that is done; this one is {}{reason}",
                other.word()
            ))
        }
    }
}
