//! The files of a run, read as the verbs read them.

use mdn::experiment::plan::RunSpec;
use mdn::experiment::store::{runs_below, Locking, RunDir, State};
use mdn::experiment::trained::Trained;

use super::runs::{compute, flow, Runs};
use super::study::again;
use super::{choice, chosen, read_or_named, short, write, Seeds, Target};

const FILES: [&str; 12] = [
    "status",
    "config.toml",
    "trained.toml",
    "history.csv",
    "metrics.csv",
    "held_out.csv",
    "cost.csv",
    "rounds.csv",
    "levels.csv",
    "environment.toml",
    "picture.safetensors",
    "lock",
];

/// Which file of a trained run to replace, then its new content.
pub fn target() -> Target {
    let runs = Runs::trained(&[flow()]);
    let run = runs.places[0].clone();
    // `read_metrics` reads two tables as one: both start empty, so that each is tested alone.
    run.write_metrics(&[]).expect("a writable folder");
    run.write_costs(&[]).expect("a writable folder");
    let whole = FILES.map(|name| std::fs::read(run.path(name)).ok());
    Box::new(move |bytes| {
        let (which, rest) = choice(bytes, FILES.len());
        let path = run.path(FILES[which]);
        write(&path, rest);
        let done = read(&run, FILES[which]);
        let below = runs_below(run.0.parent().expect("a folder"));
        assert_eq!(below.expect("runs").runs.len(), 1);
        let _ = State::ALL.map(|state| run.is_complete(state));
        match &whole[which] {
            Some(bytes) => write(&path, bytes),
            None => std::fs::remove_file(&path).unwrap_or_default(),
        }
        runs.check_alone();
        done
    })
}

fn read(run: &RunDir, name: &str) -> bool {
    let path = run.path(name);
    match name {
        "status" => again(
            &path,
            || Ok(vec![run.read_status()?]),
            |all| run.write_status(&all[0]),
        ),
        "config.toml" => settings(run, RunSpec::read(&path)),
        "trained.toml" => settings(run, RunSpec::read_trained(run)),
        "history.csv" => again(&path, || run.read_history(), |rows| run.write_history(rows)),
        "metrics.csv" => again(&path, || run.read_metrics(), |rows| run.write_metrics(rows)),
        "cost.csv" => again(&path, || run.read_metrics(), |rows| run.write_costs(rows)),
        "rounds.csv" => again(&path, || run.read_rounds(), |rows| run.write_rounds(rows)),
        "held_out.csv" => {
            let read = || Ok(run.read_held_out()?.unwrap_or_default());
            again(&path, read, |rows| run.write_held_out(rows))
        }
        "levels.csv" => again(&path, || run.read_levels(), |rows| run.write_levels(rows)),
        "environment.toml" => {
            let read = || Ok(run.read_environment()?.into_iter().collect());
            again(&path, read, |all| run.write_environment(&all[0]))
        }
        "picture.safetensors" => {
            let read = || Ok(run.read_picture()?.into_iter().collect());
            again(&path, read, |all| run.write_picture(&all[0]))
        }
        _ => {
            assert_eq!(run.holder().expect("a file can be looked at"), None);
            let locked = run.lock(false).expect("a file can be locked");
            assert!(matches!(locked, Locking::Ours(_)), "{locked:?}");
            true
        }
    }
}

/// Reads settings of a run, then its model with the existing weights.
fn settings(run: &RunDir, read: mdn_core::Result<RunSpec>) -> bool {
    let Ok(spec) = read else {
        return read_or_named(read, &run.0);
    };
    let text = spec.to_toml(&run.0).expect("what was read can be written");
    let path = run.path("again.toml");
    write(&path, &text);
    let back = RunSpec::read(&path).unwrap_or_else(|e| panic!("{e}\n{text}"));
    std::fs::remove_file(&path).expect("a file");
    assert_eq!(
        text,
        back.to_toml(&run.0).expect("TOML"),
        "the second time it is written"
    );
    for d in spec.changed() {
        short(&format!("{} {:?}", d.key, d.shown()));
    }
    read_or_named(Trained::load(run, |_| Ok(compute())), &run.0);
    true
}

/// The run's own files, and an example of each file that it lacks.
pub fn seeds() -> Seeds {
    let runs = Runs::trained(&[flow()]);
    let run = &runs.places[0];
    let rounds = "step,entropy,entropy_std_err,accepted,penalty,statistic,target,mean,std_err,std_dev,\
                  multiplier,exact\n2,1.5,0.1,yes,10,x^2,1,1.1,0.1,0.5,0.25,\n2,1.5,0.1,yes,10,y,0,0,0.1,\
                  0.5,0.25,0.5\n4,1,0.1,no,100,x^2,1,1.1,0.1,0.5,inf,\n";
    let file = |(i, name): (usize, &&str)| {
        let bytes = match *name {
            "rounds.csv" => rounds.as_bytes().to_vec(),
            "held_out.csv" => b"log_q\n-1.5\n-inf\n-2.25\n".to_vec(),
            "lock" => b"process 1 on elsewhere since then\n".to_vec(),
            "trained.toml" => std::fs::read(run.path("config.toml")).expect("a file"),
            name => std::fs::read(run.path(name)).expect(name),
        };
        let end = bytes.len().min(4000);
        // Only the first rows of long tables; files with a checksum or length stay whole.
        let last_row = bytes[..end].iter().rposition(|b| *b == b'\n');
        let end = match last_row {
            Some(i) if name.ends_with(".csv") => i + 1,
            _ => bytes.len(),
        };
        ((*name).to_owned(), chosen(i, &bytes[..end]))
    };
    let mut all: Vec<_> = FILES.iter().enumerate().map(file).collect();
    for state in State::ALL {
        let text = format!("{}\nloss not finite\n", state.word());
        all.push((
            format!("status-{}", state.word()),
            chosen(0, text.as_bytes()),
        ));
    }
    all
}
