//! Loss and gradient, densities and samples of the reference models, by every instruction set that
//! this machine has and by plain tensors, on one thread:
//!
//! ```console
//! cargo bench -p mdn-checks -- 'a/step'
//! ```

use std::hint::black_box;
use std::time::Duration;

use candle_core::Device;
use criterion::{BenchmarkId, Criterion, Throughput};
use mdn::bench::{Reference, REFERENCES};
use mdn::experiment::run::Run;
use mdn::experiment::{pool, Compute};
use mdn_core::expression::Expression;
use mdn_core::models::log_q;
use mdn_core::objectives::At;
use mdn_core::rng::Rng;
use mdn_core::Result;
use mdn_kernels::{limit, Choice, Isa};

// As in the program itself.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Points of a density evaluation, and samples drawn at once.
const POINTS: usize = 65_536;
/// Rounds of multiply-and-add.
const ROUNDS: usize = 1 << 16;

fn main() -> Result<()> {
    // As the program does: no thread but this one in Candle's products.
    std::env::set_var("RAYON_NUM_THREADS", "1");
    pool::pool(1)?.install(|| {
        let mut criterion = Criterion::default()
            .sample_size(20)
            .warm_up_time(Duration::from_millis(500))
            .measurement_time(Duration::from_secs(2))
            .configure_from_args();
        limits(&mut criterion);
        expressions(&mut criterion);
        for reference in &REFERENCES {
            models(&mut criterion, reference)?;
        }
        criterion.final_summary();
        Ok(())
    })
}

/// What no kernel can exceed, in floating-point operations.
fn limits(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("limit");
    for isa in Isa::available() {
        group.throughput(Throughput::Elements(
            limit::multiply_adds(isa, ROUNDS) as u64
        ));
        group.bench_function(isa.name(), |b| {
            b.iter(|| limit::multiply_adds(isa, ROUNDS));
        });
    }
}

/// Value and gradient of an expression at 512 points in the plane.
fn expressions(criterion: &mut Criterion) {
    let text = "-((r - 2)^2 / 0.2 + 0.3*cos(5*theta) - exp(-x^2) + y^4/10)";
    let expression = Expression::parse(text, 2, &[]).expect("an expression");
    let points: Vec<[f64; 2]> = (0..512)
        .map(|i| [f64::from(i) / 256.0 - 1.0, 0.3])
        .collect();
    let mut gradient = [0.0; 2];
    criterion.bench_function("expression/512", |b| {
        b.iter(|| {
            let value = |x: &[f64; 2]| expression.value_and_gradient(black_box(x), &mut gradient);
            points.iter().map(value).sum::<f64>()
        });
    });
}

fn models(criterion: &mut Criterion, reference: &Reference) -> Result<()> {
    let spec = reference.spec()?;
    let fused = Isa::available().into_iter();
    let fused = fused.map(|isa| (isa.name(), Choice::Fused(Some(isa))));
    let mut runs = Vec::new();
    for (name, kernels) in fused.chain([("plain", Choice::Plain)]) {
        let device = Device::Cpu;
        runs.push((name, Run::new(&spec, &Compute { device, kernels })?));
    }
    let size = spec.train.batch_size;
    let mut group = criterion.benchmark_group(format!("{}/step", reference.name));
    group.throughput(Throughput::Elements(size as u64));
    for (name, run) in &runs {
        let batch = run.points("bench", size)?;
        run.with_training(|task| {
            let vars: Vec<_> = task.params.trainable().into_iter().map(|v| v.1).collect();
            match task.model.fused() {
                Some(fused) => {
                    let mut training = fused.training(&vars, task.spec.weight_decay)?;
                    group.bench_function(BenchmarkId::from_parameter(name), |b| {
                        b.iter(|| training.loss(&batch).expect("a loss"));
                    });
                }
                None => {
                    let mut rng = Rng::new(0);
                    let at = At {
                        phase: 0,
                        progress: 0.0,
                        size,
                        points: Some(&batch),
                    };
                    group.bench_function(BenchmarkId::from_parameter(name), |b| {
                        b.iter(|| {
                            let loss = task.objective.loss(task.model, &at, &mut rng);
                            loss.expect("a loss").backward().expect("gradients")
                        });
                    });
                }
            }
            Ok(())
        })?;
    }
    group.finish();

    for what in ["log_prob", "sample"] {
        let mut group = criterion.benchmark_group(format!("{}/{what}", reference.name));
        group.throughput(Throughput::Elements(POINTS as u64));
        for (name, run) in &runs {
            let (x, mut rng) = (run.points("bench", POINTS)?, Rng::new(0));
            let model = run.model();
            group.bench_function(BenchmarkId::from_parameter(name), |b| match what {
                "sample" => b.iter(|| model.sample(POINTS, &mut rng).expect("samples")),
                _ => b.iter(|| log_q(model, black_box(&x)).expect("densities")),
            });
        }
        group.finish();
    }
    Ok(())
}
