use super::*;
use crate::experiment::plan::Plan;

const FILE: &str = "seeds = [0, 1, 2, 3]\n[data.ring.ring]\nmodes = 8\nradius = 4.0\nstd = 0.2\n\
                    [models.rad.rad]\n";

fn jobs(dir: &Path) -> Vec<Job> {
    let plan = Plan::parse(FILE, "pool").unwrap();
    let runs = plan.runs.iter().enumerate();
    runs.map(|(i, run)| Job::new(i, run, &dir.join("out")))
        .collect()
}

fn recorded(job: &Job, state: State, reason: &str) -> Result<Status> {
    let text = job.spec.to_toml(&job.place.0)?;
    job.place.write("config.toml", text.as_bytes())?;
    let status = Status {
        state,
        reason: reason.to_owned(),
    };
    for name in [
        "history.csv",
        "model.safetensors",
        "metrics.csv",
        "cost.csv",
    ] {
        job.place.write(name, b"something")?;
    }
    job.place.write_status(&status)?;
    Ok(status)
}

struct Count(AtomicUsize);

impl Watch for Count {
    fn began(&self, _: usize) {}
    fn stepped(&self, _: usize, _: &Progress) {}
    fn ended(&self, _: &Ended) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn one_that_fails_diverges_or_panics_does_not_stop_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let mut jobs = jobs(dir.path());
    let work = |job: &Job, _: &mut dyn FnMut(&Progress)| match job.spec.seed {
        0 => Err(Error::failed("no disk\nleft")),
        1 => recorded(job, State::Diverged, "loss not finite at step 3"),
        2 => panic!("on purpose"),
        _ => recorded(job, State::Done, ""),
    };
    let first = ended_before(&jobs, false).unwrap();
    assert_eq!(first, vec![None; 4]);
    let watch = Count(AtomicUsize::new(0));
    let ended = run_all(&jobs, &first, (2, &Control::default()), &work, &watch).unwrap();
    assert_eq!(watch.0.load(Ordering::Relaxed), 4);
    let states: Vec<_> = ended.iter().map(|e| e.status.state).collect();
    use State::{Diverged, Done, Failed};
    assert_eq!(states, [Failed, Diverged, Failed, Done]);
    assert_eq!(ended[0].status.reason, "no disk left");
    assert_eq!(ended[2].status.reason, "a fault of the program: on purpose");
    assert_eq!(jobs[2].place.read_status().unwrap().state, Failed);

    let skips = |jobs: &[Job], force| {
        let before = ended_before(jobs, force).unwrap();
        before.iter().map(Option::is_some).collect::<Vec<_>>()
    };
    assert_eq!(skips(&jobs, false), [false, true, false, true]);
    assert_eq!(skips(&jobs, true), [false; 4]);
    // Only a whole run that is done is kept from other settings.
    for job in &mut jobs {
        job.spec.train.steps += 1;
    }
    let said = ended_before(&jobs, false).unwrap_err().to_string();
    let words = "seed-3 was made with other settings";
    assert!(said.contains(words), "{said}");
    std::fs::remove_file(jobs[3].place.path("cost.csv")).unwrap();
    assert_eq!(skips(&jobs, false), [false; 4]);
}
