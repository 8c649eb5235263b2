//! Rates of one model.

use std::hint::black_box;
use std::panic::resume_unwind;

use candle_core::Device;
use serde::{Deserialize, Serialize};

use super::machine::peak_memory;
use super::segments::{segments, Limit, Segments, Spread};
use crate::experiment::plan::RunSpec;
use crate::experiment::run::Run;
use crate::experiment::{pool, Compute};
use mdn_core::models::log_q;
use mdn_core::rng::Rng;
use mdn_core::train::{BareSteps, Precision};
use mdn_core::{device, num, Error, Result};
use mdn_kernels::{Choice, Isa};

/// What is to be measured.
#[derive(Debug, Clone)]
pub struct Work {
    /// The model, what it is trained on and how.
    pub spec: RunSpec,
    /// Copies of it that are measured at once, each in a thread of its own.
    pub runs: usize,
    /// Threads of each.
    pub threads: usize,
    /// Points of a density evaluation, and samples drawn at once.
    pub points: usize,
    /// Time of each measurement.
    pub seconds: f64,
}

/// The speed of one kind of work, of all copies together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rates {
    /// Steps or points per second of wall time.
    pub per_second: Spread,
    /// The same per second of processor time: of one core.
    pub per_cpu_second: Option<Spread>,
    /// Billions of floating-point operations of products with weights, per second of processor
    /// time.
    pub gflops_per_cpu_second: Option<f64>,
    /// The share of what one core can multiply and add at the clock rate during the work: the median
    /// over the segments, each against the mean of the bursts before and after it, since a core's clock
    /// changes by more than the differences to be measured. `None` for several runs at once.
    pub share_of_limit: Option<f64>,
}

/// What was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The device.
    pub device: String,
    /// The kernels that evaluated the model.
    pub kernels: String,
    /// The instruction set that the limit was measured with; none on a GPU.
    pub limit_of: Option<String>,
    /// Billions of f32 multiplications and additions per second of one core: the median of all
    /// bursts, at the clock rate during the work.
    pub limit_gflops: Option<f64>,
    /// The same for a core that does nothing else: the fastest burst before the work.
    pub limit_alone_gflops: Option<f64>,
    /// Floating-point format.
    pub precision: Precision,
    /// Trainable numbers of the model.
    pub parameters: usize,
    /// Points of a training step.
    pub batch: usize,
    /// Points of an evaluation.
    pub points: usize,
    /// Copies at once.
    pub runs: usize,
    /// Threads of each.
    pub threads: usize,
    /// Training steps.
    pub train: Rates,
    /// Points whose density was evaluated.
    pub density: Rates,
    /// Samples.
    pub samples: Rates,
    /// Peak resident memory of the process, on the host.
    pub peak_memory_bytes: Option<u64>,
}

/// The measurement of one copy.
struct One {
    kernels: String,
    parameters: usize,
    limit: Option<(Isa, [f64; 2])>,
    products: Option<usize>,
    train: Segments,
    density: Segments,
    samples: Segments,
}

/// Builds and measures the model.
pub fn measure(work: &Work, compute: &Compute) -> Result<Measured> {
    let pools = (0..work.runs).map(|_| pool::pool(work.threads));
    let pools = pools.collect::<Result<Vec<_>>>()?;
    let all: Vec<Result<One>> = std::thread::scope(|scope| {
        let copies: Vec<_> = pools
            .iter()
            .map(|pool| scope.spawn(|| pool.install(|| one(work, compute))))
            .collect();
        let ends = copies.into_iter().map(std::thread::ScopedJoinHandle::join);
        ends.map(|end| end.unwrap_or_else(|panic| resume_unwind(panic)))
            .collect()
    });
    let all = all.into_iter().collect::<Result<Vec<_>>>()?;
    let first = all
        .first()
        .ok_or_else(|| Error::request("expected at least one run at a time; got 0"))?;
    let limit = first.limit;
    let rates = |of: fn(&One) -> &Segments, flops: usize| -> Result<Rates> {
        let [wall, cpu] = [0, 1].map(|i| total(all.iter().map(|o| of(o).rates[i])));
        let gflops = match (cpu, first.products) {
            (Some(cpu), Some(products)) => Some(cpu.median * (flops * products) as f64 * 1e-9),
            _ => None,
        };
        Ok(Rates {
            per_second: wall.ok_or_else(|| Error::failed("expected a clock that moves"))?,
            per_cpu_second: cpu,
            gflops_per_cpu_second: gflops,
            share_of_limit: of(first)
                .per_limit
                .zip(first.products)
                .map(|(units, products)| units * (flops * products) as f64 * 1e-9),
        })
    };
    let batch = work.spec.train.batch_size;
    Ok(Measured {
        device: device::name(&compute.device),
        kernels: first.kernels.clone(),
        limit_of: limit.map(|(isa, _)| isa.name().to_owned()),
        limit_gflops: limit.map(|(_, [beside, _])| beside),
        limit_alone_gflops: limit.map(|(_, [_, alone])| alone),
        precision: work.spec.train.precision,
        parameters: first.parameters,
        batch,
        points: work.points,
        runs: work.runs,
        threads: work.threads,
        // The forward product and two of the backward pass: by the weights and by the inputs.
        train: rates(|o| &o.train, 2 * 3 * batch)?,
        density: rates(|o| &o.density, 2)?,
        samples: rates(|o| &o.samples, 2)?,
        peak_memory_bytes: peak_memory(),
    })
}

fn one(work: &Work, compute: &Compute) -> Result<One> {
    let compute = Compute {
        device: device::for_this_thread(&compute.device)?,
        kernels: compute.kernels,
    };
    let run = Run::new(&work.spec, &compute)?;
    let model = run.model();
    if model.phases().is_empty() {
        return Err(Error::request(format!(
            "{}: expected a model that is trained in steps; got one that is fitted when it is built",
            work.spec.label()
        )));
    }
    let on_cpu = compute.device.is_cpu();
    let isa = model.kernels().unwrap_or_else(Isa::best);
    let counted = on_cpu && work.spec.train.precision == Precision::F32;
    // The bursts of one copy would count as processor time of the others.
    let mut limit = Limit::new((counted && work.runs == 1).then_some(isa));

    let train = run.with_training(|task| {
        let mut steps = BareSteps::new(task)?;
        segments(
            (work.seconds, 1),
            &mut limit,
            &mut steps,
            |steps| steps.make(),
            |steps| steps.settle(),
        )
    })?;
    let x = run.points("bench", work.points)?;
    let density = segments(
        (work.seconds, work.points),
        &mut limit,
        &mut (),
        |()| {
            black_box(log_q(model, &x)?);
            Ok(())
        },
        |()| Ok(()),
    )?;
    let mut rng = Rng::new(work.spec.seed).fork("bench");
    let samples = segments(
        (work.seconds, work.points),
        &mut limit,
        &mut (&mut rng, None),
        |(rng, last)| {
            *last = Some(model.sample(work.points, rng)?);
            Ok(())
        },
        // Reading waits for the device.
        |(_, last)| match last {
            Some(x) => num::to_vec(&x.narrow(0, 0, 1)?).map(|_| ()),
            None => Ok(()),
        },
    )?;

    let limit = limit.median().zip(limit.alone);
    let products = match model.fused() {
        _ if !counted => None,
        Some(fused) => Some(fused.products()),
        None => products(&work.spec)?,
    };
    Ok(One {
        kernels: run.kernels(),
        parameters: run.parameters(),
        limit: limit.map(|(beside, alone)| (isa, [beside, alone])),
        products,
        train,
        density,
        samples,
    })
}

/// Products with weights of a model that plain tensors evaluate: as many as in the same model with fused
/// kernels.
fn products(spec: &RunSpec) -> Result<Option<usize>> {
    let fused = Compute {
        device: Device::Cpu,
        kernels: Choice::Auto,
    };
    let twin = Run::new(spec, &fused)?;
    Ok(twin.model().fused().map(mdn_kernels::Fused::products))
}

/// The rates of all copies added up, if all have one.
fn total(all: impl Iterator<Item = Option<Spread>>) -> Option<Spread> {
    let all: Option<Vec<Spread>> = all.collect();
    all?.into_iter().reduce(|a, b| Spread {
        median: a.median + b.median,
        min: a.min + b.min,
        max: a.max + b.max,
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn copies_are_added_up() {
        let of = |median, min, max| Some(super::Spread { median, min, max });
        let one = of(2.0, 1.0, 4.0);
        assert_eq!(super::total([one, one].into_iter()), of(4.0, 2.0, 8.0));
        assert_eq!(super::total([one, None].into_iter()), None);
    }
}
