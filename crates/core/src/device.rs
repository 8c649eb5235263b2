//! The device that tensors live on.

use std::fmt;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::{Mutex, PoisonError};

use candle_core::{DType, Device, DeviceLocation, Tensor};

use crate::error::did_you_mean;
use crate::{Error, Result};

/// What the user asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// The first usable one of CUDA, Metal and the CPU.
    Auto,
    /// The CPU.
    Cpu,
    /// The NVIDIA GPU of this number.
    Cuda(usize),
    /// The Apple GPU.
    Metal,
}

/// A usable device.
#[derive(Debug, Clone)]
pub struct Opened {
    /// The device.
    pub device: Device,
    /// Why `auto` chose the CPU in a build for GPUs.
    pub notice: Option<String>,
}

/// The device's name, as `--device` takes it.
pub fn name(device: &Device) -> String {
    match device.location() {
        DeviceLocation::Cpu => Choice::Cpu.to_string(),
        DeviceLocation::Cuda { gpu_id } => Choice::Cuda(gpu_id).to_string(),
        DeviceLocation::Metal { .. } => Choice::Metal.to_string(),
    }
}

/// The same device for a thread of its own. Candle gives a CUDA device the stream of whichever
/// thread calls it, with no order between the streams of two threads, and one cuBLAS workspace:
/// neither a device nor a tensor of it may be shared.
pub fn for_this_thread(device: &Device) -> Result<Device> {
    match device.location() {
        DeviceLocation::Cuda { gpu_id } => guarded(|| Device::new_cuda(gpu_id))
            .map_err(|why| Error::failed(format!("{}: {why}", name(device)))),
        _ => Ok(device.clone()),
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
            Self::Metal => f.write_str("metal"),
        }
    }
}

impl Choice {
    /// Reads what the user typed.
    pub fn parse(typed: &str) -> std::result::Result<Self, String> {
        let parts = typed.split_once(':');
        let (kind, number) = parts.map_or((typed, None), |(kind, number)| (kind, Some(number)));
        match (kind, number) {
            ("auto", None) => Ok(Self::Auto),
            ("cpu", None) => Ok(Self::Cpu),
            ("metal", None) => Ok(Self::Metal),
            ("cuda", None) => Ok(Self::Cuda(0)),
            ("cuda", Some(number)) => number.parse().map(Self::Cuda).map_err(|_| {
                format!("expected a number after `cuda:`, as in `cuda:0`; got `{number}`")
            }),
            ("auto" | "cpu" | "metal", Some(_)) => {
                Err(format!("expected `{kind}` without a number"))
            }
            _ => {
                let near = match kind {
                    "gpu" => " (did you mean `cuda` or `metal`?)".to_owned(),
                    "nvidia" => " (did you mean `cuda`?)".to_owned(),
                    "apple" | "mps" => " (did you mean `metal`?)".to_owned(),
                    other => did_you_mean(other, ["auto", "cpu", "cuda", "metal"]),
                };
                Err(format!(
                    "expected `auto`, `cpu`, `cuda`, `cuda:N` or `metal`{near}"
                ))
            }
        }
    }

    /// Whether this build has what the device needs.
    pub fn is_compiled_in(self) -> bool {
        match self {
            Self::Auto | Self::Cpu => true,
            Self::Cuda(_) => cfg!(feature = "cuda"),
            Self::Metal => cfg!(feature = "metal"),
        }
    }

    /// The device, for numbers of this format. `auto` falls back to the CPU where no GPU can be used
    /// and says why.
    ///
    /// # Errors
    /// A named device that cannot be used is a bad request.
    pub fn open(self, dtype: DType) -> Result<Opened> {
        let mut reasons = Vec::new();
        let candidates = match self {
            Self::Auto => vec![Self::Cuda(0), Self::Metal],
            named => vec![named],
        };
        let notice = None;
        for candidate in candidates {
            match candidate.probe(dtype) {
                Ok(device) => return Ok(Opened { device, notice }),
                Err(why) if self != Self::Auto => {
                    return Err(Error::request(format!(
                        "--device {candidate}: {why}; try --device cpu, or `mdn devices` for what \
                         there is"
                    )))
                }
                Err(_) if !candidate.is_compiled_in() => {}
                Err(why) => reasons.push(format!("{candidate}: {why}")),
            }
        }
        Ok(Opened {
            device: Device::Cpu,
            notice: (!reasons.is_empty())
                .then(|| format!("computing on the CPU; {}", reasons.join("; "))),
        })
    }

    /// The device if it computes, else why it does not.
    pub fn probe(self, dtype: DType) -> std::result::Result<Device, String> {
        match self {
            Self::Auto | Self::Cpu => Ok(Device::Cpu),
            // Before all else: this is true of every Metal device.
            Self::Metal if dtype == DType::F64 => Err(
                "expected train.precision to be `f32`, as Metal has no 64-bit floats; got `f64` \
                 (try train.precision=f32)"
                    .to_owned(),
            ),
            Self::Cuda(_) if !self.is_compiled_in() => Err(
                "expected a build with CUDA; this one has none (scripts/build-cuda.sh makes one)"
                    .to_owned(),
            ),
            Self::Metal if !self.is_compiled_in() => Err(
                "expected a build with Metal; this one has none (on a Mac, `cargo build --release \
                 --features metal` makes one)"
                    .to_owned(),
            ),
            Self::Cuda(number) => guarded(|| tried(Device::new_cuda(number)?)).map_err(|why| {
                format!(
                    "expected an NVIDIA GPU of this number with its driver, cuBLAS and cuRAND; \
                     got: {why}"
                )
            }),
            Self::Metal => guarded(|| tried(Device::new_metal(0)?))
                .map_err(|why| format!("expected an Apple GPU; got: {why}")),
        }
    }
}

/// The device, after it has multiplied two matrices: an outdated driver or a missing library shows
/// only in use.
fn tried(device: Device) -> candle_core::Result<Device> {
    let x = Tensor::new(&[[1f32, 2.0], [3.0, 4.0]], &device)?;
    let sum = (x.matmul(&x)? * 2.0)?.sum_all()?.to_scalar::<f32>()?;
    if sum == 108.0 {
        Ok(device)
    } else {
        candle_core::bail!("a wrong result of a product of two matrices, {sum} for 108")
    }
}

/// The result of `open`, or one line about why it failed: the bindings panic where a library or a
/// device is missing, and that must not reach stderr.
fn guarded<T>(open: impl FnOnce() -> candle_core::Result<T>) -> std::result::Result<T, String> {
    // The panic hook is global: without a lock two threads could lose it.
    static HOOK: Mutex<()> = Mutex::new(());
    let lock = HOOK.lock().unwrap_or_else(PoisonError::into_inner);
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let opened = catch_unwind(AssertUnwindSafe(open));
    std::panic::set_hook(hook);
    drop(lock);
    match opened {
        Ok(Ok(opened)) => Ok(opened),
        Ok(Err(e)) => Err(reason(&e.to_string())),
        Err(panic) => {
            let said = panic.downcast_ref::<&str>().copied();
            let said = said.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
            Err(reason(said.unwrap_or("a fault of its bindings")))
        }
    }
}

/// The reason without the backtrace and the advice after it.
fn reason(said: &str) -> String {
    let line = said.lines().next().unwrap_or_default();
    let missing = "Unable to dynamically load the \"";
    match line.strip_prefix(missing).and_then(|l| l.split_once('"')) {
        Some(("cuda", _)) => "no NVIDIA driver (the library libcuda is not there)".to_owned(),
        Some((library, _)) => {
            format!("the library lib{library} is not there (is its folder in LD_LIBRARY_PATH?)")
        }
        None if line.starts_with("swap_remove index") => "no Metal device".to_owned(),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_read_or_refused_with_a_hint() {
        let good = [
            ("auto", Choice::Auto),
            ("cpu", Choice::Cpu),
            ("cuda", Choice::Cuda(0)),
            ("cuda:3", Choice::Cuda(3)),
            ("metal", Choice::Metal),
        ];
        for (typed, choice) in good {
            assert_eq!(Choice::parse(typed), Ok(choice));
        }
        let bad = [
            ("cuda:x", "as in `cuda:0`; got `x`"),
            ("cuda:-1", "got `-1`"),
            ("cuda:", "got ``"),
            ("cpu:1", "expected `cpu` without a number"),
            ("metal:0", "expected `metal` without a number"),
            ("gpu", "(did you mean `cuda` or `metal`?)"),
            ("mps", "(did you mean `metal`?)"),
            ("cdua:1", "(did you mean `cuda`?)"),
            ("", "expected `auto`, `cpu`, `cuda`, `cuda:N` or `metal`"),
        ];
        for (typed, part) in bad {
            let why = Choice::parse(typed).unwrap_err();
            assert!(why.contains(part), "{typed}: {why}");
        }
    }

    #[test]
    fn the_cpu_can_always_be_used() {
        for dtype in [DType::F32, DType::F64] {
            let opened = Choice::Cpu.open(dtype).unwrap();
            assert!(opened.device.is_cpu() && opened.notice.is_none());
            let opened = Choice::Auto.open(dtype).unwrap();
            let gpu = Choice::Cuda(0).is_compiled_in() || Choice::Metal.is_compiled_in();
            assert_eq!(opened.device.is_cpu() && gpu, opened.notice.is_some());
        }
        assert!(tried(Device::Cpu).is_ok());
        assert_eq!(name(&for_this_thread(&Device::Cpu).unwrap()), "cpu");
    }

    #[test]
    fn a_device_that_cannot_be_used_is_a_bad_request() {
        let metal = Choice::Metal.open(DType::F64).unwrap_err();
        assert_eq!(metal.exit_code(), 2);
        assert!(metal.to_string().contains("try train.precision=f32"));
        for missing in [Choice::Cuda(99), Choice::Metal] {
            if missing == Choice::Metal && missing.is_compiled_in() {
                continue;
            }
            let why = missing.open(DType::F32).unwrap_err();
            assert_eq!(why.exit_code(), 2);
            let text = why.to_string();
            assert!(text.starts_with(&format!("--device {missing}: expected")));
            assert!(text.contains("try --device cpu"), "{text}");
        }
    }

    #[test]
    fn a_panic_in_the_bindings_becomes_one_line() {
        let why = guarded::<()>(|| panic!("first\nsecond")).unwrap_err();
        assert_eq!(why, "first");
        let why = guarded::<()>(|| candle_core::bail!("no device\nbacktrace")).unwrap_err();
        assert_eq!(why, "no device");
        let said = "Unable to dynamically load the \"cuda\" shared library - searched for";
        assert!(reason(said).contains("no NVIDIA driver"));
        assert!(reason(&said.replace("cuda", "cublas")).contains("libcublas is not there"));
    }
}
