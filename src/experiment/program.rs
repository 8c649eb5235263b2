//! Targets that are programs: children that read points and write log densities.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::sync::mpsc::{channel, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use mdn_core::data::npy;
use mdn_core::data::{LogDensity, NoPrograms, ProgramSpec, Values};
use mdn_core::error::shortened;
use mdn_core::{Error, Result};

/// Points of one array.
const ROWS: usize = 8192;
/// Lines of stderr that a message ends with.
const LINES: usize = 8;
/// How long a program that has closed its stdout may take to end, and its stderr to be read.
const GRACE: Duration = Duration::from_secs(1);

/// The programs of one run: they are started where the user allows it, each once.
#[derive(Debug, Default)]
pub struct Programs {
    running: Mutex<Option<(ProgramSpec, Weak<Program>)>>,
}

impl mdn_core::data::Programs for Programs {
    fn start(&self, spec: &ProgramSpec) -> Result<Box<dyn LogDensity>> {
        let mut running = lock(&self.running);
        let same = running.as_ref().filter(|(other, _)| other == spec);
        let program = match same.and_then(|(_, program)| program.upgrade()) {
            Some(program) => program,
            None => Arc::new(Program::start(spec)?),
        };
        *running = Some((spec.clone(), Arc::downgrade(&program)));
        Ok(Box::new(Shared(program)))
    }
}

/// Whoever may start the programs of a run: nobody unless the user allows it.
pub fn programs(allowed: bool) -> Arc<dyn mdn_core::data::Programs> {
    match allowed {
        true => Arc::new(Programs::default()),
        false => Arc::new(NoPrograms),
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Shared(Arc<Program>);

impl LogDensity for Shared {
    fn dim(&self) -> usize {
        self.0.spec.dim
    }

    fn evaluate(&self, rows: &[f64], gradient: bool) -> Result<Values> {
        let dim = self.dim();
        let mut all = Values {
            log_p: Vec::with_capacity(rows.len() / dim),
            gradient: gradient.then(Vec::new),
        };
        for rows in rows.chunks(ROWS * dim) {
            let answer = self.0.ask(rows)?;
            for row in answer.values.chunks_exact(answer.fields) {
                all.log_p.push(row[0]);
                if let Some(gradient) = &mut all.gradient {
                    gradient.extend(&row[1..]);
                }
            }
            if answer.fields == 1 {
                all.gradient = None;
            }
        }
        Ok(all)
    }
}

/// An array of log densities, with gradients or without.
#[derive(Debug)]
struct Answer {
    fields: usize,
    values: Vec<f64>,
}

/// What was expected and what came.
type Wrong = (String, String);

#[derive(Debug)]
struct Program {
    spec: ProgramSpec,
    child: Mutex<Running>,
}

/// A child, with a thread for each of its streams, so that none of them blocks another.
#[derive(Debug)]
struct Running {
    child: Child,
    questions: Sender<Vec<u8>>,
    answers: Receiver<Result<(usize, Answer), Wrong>>,
    /// The last lines of stderr; it is closed when the sender is gone.
    said: Arc<Mutex<VecDeque<String>>>,
    silent: Receiver<()>,
    /// Why it was ended.
    fault: Option<String>,
}

impl Program {
    fn start(spec: &ProgramSpec) -> Result<Self> {
        let name = &spec.command[0];
        // A path is relative to the folder, a plain name is looked up as in a shell.
        let program = match name.contains(std::path::MAIN_SEPARATOR) {
            true => spec.folder.join(name),
            false => name.into(),
        };
        let mut command = Command::new(program);
        command.args(&spec.command[1..]);
        if spec.folder.is_dir() {
            command.current_dir(&spec.folder);
        }
        command.stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        // Ctrl-C must not end it before the run has made its checkpoint.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let cannot = |e: std::io::Error| {
            let folder = spec.folder.display();
            Error::failed(format!(
                "target program `{}`: could not start it in the folder `{folder}`: {e}",
                spec.shown()
            ))
        };
        let mut child = command.spawn().map_err(cannot)?;
        let (questions, to_ask) = channel::<Vec<u8>>();
        let (to_answer, answers) = channel();
        let (open, silent) = channel();
        let said = Arc::new(Mutex::new(VecDeque::new()));
        if let (Some(mut stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        {
            std::thread::spawn(move || {
                // Where it fails the reader of the answers finds the end of file.
                while to_ask.recv().is_ok_and(|bytes| stdin.write_all(&bytes).is_ok()) {}
            });
            let most = 1 + spec.dim;
            std::thread::spawn(move || {
                let mut from = BufReader::new(stdout);
                while let Some(answer) = read(&mut from, most) {
                    let ends = answer.is_err();
                    if to_answer.send(answer).is_err() || ends {
                        break;
                    }
                }
            });
            let lines = Arc::clone(&said);
            std::thread::spawn(move || listen(stderr, &lines, open));
        }
        Ok(Self {
            spec: spec.clone(),
            child: Mutex::new(Running {
                child,
                questions,
                answers,
                said,
                silent,
                fault: None,
            }),
        })
    }

    /// The answer to points given as rows.
    fn ask(&self, rows: &[f64]) -> Result<Answer> {
        let (dim, mut running) = (self.spec.dim, lock(&self.child));
        let n = rows.len() / dim;
        let fault = match &running.fault {
            Some(fault) => fault.clone(),
            None => match running.answer(rows, dim, self.spec.timeout) {
                Ok(answer) => return Ok(answer),
                Err((expected, got)) => {
                    running.end();
                    let said: Vec<_> = lock(&running.said).iter().cloned().collect();
                    let said = match said.is_empty() {
                        true => "it wrote nothing to stderr".to_owned(),
                        false => format!("the end of its stderr: {}", said.join(" | ")),
                    };
                    let shown = self.spec.shown();
                    format!(
                        "target program `{shown}`: expected {expected} for {n} points of {dim} \
                         coordinates; got {got}; {said}"
                    )
                }
            },
        };
        running.fault = Some(fault.clone());
        Err(Error::failed(fault))
    }
}

impl Running {
    fn answer(&mut self, rows: &[f64], dim: usize, timeout: f64) -> Result<Answer, Wrong> {
        let n = rows.len() / dim;
        let shape = || format!("a .npy array of shape ({n}, {}) or ({n}, 1) on its stdout", 1 + dim);
        // Where it has ended, the answer says so.
        let _ = self.questions.send(npy::write(rows, dim));
        match self.answers.recv_timeout(Duration::from_secs_f64(timeout)) {
            Ok(Ok((found, answer))) => {
                if found == n && (answer.fields == 1 || answer.fields == 1 + dim) {
                    return Ok(answer);
                }
                Err((shape(), format!("one of shape ({found}, {})", answer.fields)))
            }
            Ok(Err((expected, got))) => Err((format!("{} ({expected})", shape()), got)),
            Err(RecvTimeoutError::Timeout) => Err((
                format!("{} within {timeout} s", shape()),
                "none (does it flush its stdout? `timeout` can be longer)".to_owned(),
            )),
            Err(RecvTimeoutError::Disconnected) => {
                Err((shape(), format!("its end ({})", self.status())))
            }
        }
    }

    /// How it ended.
    fn status(&mut self) -> String {
        let until = Instant::now() + GRACE;
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return status.to_string(),
                Ok(None) if Instant::now() < until => std::thread::sleep(GRACE / 100),
                _ => return "it closed its stdout".to_owned(),
            }
        }
    }

    /// Ends it with all that it has started, and waits for the last lines of its stderr.
    fn end(&mut self) {
        #[cfg(unix)]
        if let Ok(id) = i32::try_from(self.child.id()) {
            use nix::sys::signal::{killpg, Signal};
            // It may have ended by itself.
            let _ = killpg(nix::unistd::Pid::from_raw(id), Signal::SIGKILL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = self.silent.recv_timeout(GRACE);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.fault.is_none() {
            self.end();
        }
    }
}

/// The next array of at most [`ROWS`] rows of `most` numbers; `None` at the end of file.
fn read(from: &mut BufReader<ChildStdout>, most: usize) -> Option<Result<(usize, Answer), Wrong>> {
    let start = from.fill_buf().ok()?;
    if start.is_empty() {
        return None;
    }
    let beginning = &npy::MAGIC[..npy::MAGIC.len().min(start.len())];
    if !start.starts_with(beginning) {
        let text = String::from_utf8_lossy(&start[..start.len().min(400)]);
        let text = shortened(text.trim(), 100).into_owned();
        let expected = "and nothing else; what it prints belongs on its stderr";
        return Some(Err((expected.to_owned(), format!("`{text}`"))));
    }
    Some(array(from, most))
}

fn array(from: &mut impl Read, most: usize) -> Result<(usize, Answer), Wrong> {
    let head = npy::Head::read(from)?;
    let (rows, fields) = (head.rows, head.fields);
    let fits = rows <= ROWS && fields <= most;
    let length = head.bytes().filter(|_| fits);
    let Some(length) = length else {
        let expected = format!("at most {ROWS} rows of {most} numbers");
        return Err((expected, format!("one of shape ({rows}, {fields})")));
    };
    let mut data = vec![0; length];
    let cut = |e| ("a whole array".to_owned(), format!("a part of one ({e})"));
    from.read_exact(&mut data).map_err(cut)?;
    let values = head.values(&data);
    Ok((rows, Answer { fields, values }))
}

/// Keeps the last lines; `_open` is dropped at the end of the stream.
fn listen(stderr: ChildStderr, lines: &Mutex<VecDeque<String>>, _open: Sender<()>) {
    let mut from = BufReader::new(stderr);
    let mut line = Vec::new();
    while (&mut from).take(4096).read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
        let text = String::from_utf8_lossy(&line).trim().to_owned();
        if !text.is_empty() {
            let mut lines = lock(lines);
            lines.push_back(text);
            if lines.len() > LINES {
                lines.pop_front();
            }
        }
        line.clear();
    }
}

#[cfg(all(test, unix))]
mod tests;
