//! `mdn devices`

use candle_core::{DType, Device};
use clap::Args;
use serde_json::json;

use super::output::{columns, print};
use super::Exit;
use mdn_core::device::Choice;
use mdn_core::Result;
use mdn_kernels::Isa;

/// Show where this build can compute, here
///
/// Columns: what --device calls it, whether this build has what it needs, whether it can be used on
/// this machine, and what it is or why it cannot be used.
#[derive(Debug, Clone, Args)]
pub(super) struct DevicesArgs {
    /// Print one JSON object per device
    #[arg(long)]
    json: bool,
}

struct Row {
    device: Choice,
    usable: bool,
    detail: String,
}

pub(super) fn run(args: &DevicesArgs) -> Result<Exit> {
    let mut rows = vec![row(Choice::Cpu)];
    rows.push(row(Choice::Cuda(0)));
    while rows[rows.len() - 1].usable {
        let next = row(Choice::Cuda(rows.len() - 1));
        if !next.usable {
            break;
        }
        rows.push(next);
    }
    rows.push(row(Choice::Metal));
    let text = if args.json {
        rows.iter().map(as_json).collect()
    } else {
        table(&rows)
    };
    print(&text)?;
    Ok(Exit::FINE)
}

fn row(device: Choice) -> Row {
    let probed = device.probe(DType::F32);
    Row {
        device,
        usable: probed.is_ok(),
        detail: probed.map_or_else(|why| why, |device| about(&device)),
    }
}

/// What a device is, as far as it says so.
fn about(device: &Device) -> String {
    match device {
        Device::Cpu => {
            let cores = std::thread::available_parallelism().map_or(1, usize::from);
            let isas: Vec<_> = Isa::available().iter().map(|i| i.name()).collect();
            format!("{cores} cores; fused kernels for {}", isas.join(", "))
        }
        #[cfg(feature = "cuda")]
        Device::Cuda(cuda) => {
            let stream = cuda.cuda_stream();
            let context = stream.context();
            let name = context.name().unwrap_or_default();
            let memory = context.total_mem().unwrap_or_default() >> 30;
            let (major, minor) = context.compute_capability().unwrap_or_default();
            format!("{name}, {memory} GiB, compute capability {major}.{minor}")
        }
        _ => String::new(),
    }
}

fn as_json(row: &Row) -> String {
    let object = json!({
        "device": row.device.to_string(),
        "compiled_in": row.device.is_compiled_in(),
        "usable": row.usable,
        "detail": row.detail,
    });
    format!("{object}\n")
}

fn table(rows: &[Row]) -> String {
    let word = |yes| if yes { "yes" } else { "no" };
    let header = ["device", "compiled in", "usable", "detail"];
    let mut cells = vec![header.map(str::to_owned).to_vec()];
    cells.extend(rows.iter().map(|row| {
        vec![
            row.device.to_string(),
            word(row.device.is_compiled_in()).to_owned(),
            word(row.usable).to_owned(),
            row.detail.clone(),
        ]
    }));
    columns(&cells)
}
