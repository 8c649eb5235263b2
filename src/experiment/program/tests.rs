use nix::sys::signal::{kill, killpg};
use nix::unistd::Pid;

use super::*;

/// A target in the plane that this line of a shell computes, in a folder with arrays.
fn shell(folder: &tempfile::TempDir, line: &str) -> Program {
    let arrays = [("fine.npy", 3), ("values.npy", 1), ("wide.npy", 4)];
    for (name, fields) in arrays {
        let rows: Vec<f64> = (0..2 * fields).map(|v| v as f64).collect();
        std::fs::write(folder.path().join(name), npy::write(&rows, fields)).unwrap();
    }
    let spec = ProgramSpec {
        command: ["sh", "-c", line].map(str::to_owned).to_vec(),
        dim: 2,
        timeout: 5.0,
        folder: folder.path().to_owned(),
        files: Default::default(),
    };
    Program::start(&spec).unwrap()
}

fn evaluate(program: Program) -> Result<Values> {
    Shared(Arc::new(program)).evaluate(&[0.5, 1.5, -2.0, 3.0], true)
}

#[test]
fn rows_are_log_densities_with_gradients_or_without() {
    let folder = tempfile::tempdir().unwrap();
    let found = evaluate(shell(&folder, "cat fine.npy; cat > /dev/null")).unwrap();
    assert_eq!(found.log_p, [0.0, 3.0]);
    assert_eq!(found.gradient, Some(vec![1.0, 2.0, 4.0, 5.0]));
    let found = evaluate(shell(&folder, "cat values.npy; cat > /dev/null")).unwrap();
    assert_eq!((found.log_p, found.gradient), (vec![0.0, 1.0], None));
}

#[test]
fn points_arrive_as_arrays_one_after_another() {
    let folder = tempfile::tempdir().unwrap();
    // Gives every array back: log p = x and gradient = y, in one dimension of two columns.
    let mut program = shell(&folder, "exec cat");
    program.spec.dim = 1;
    for rows in [[0.25, -1.0], [7.0, 8.0]] {
        let running = &mut *lock(&program.child);
        let answer = running.answer(&rows, 1, 5.0).unwrap();
        assert_eq!((answer.fields, answer.values), (1, rows.to_vec()));
    }
}

#[test]
fn what_a_program_does_wrong_is_said_with_the_end_of_its_stderr() {
    let folder = tempfile::tempdir().unwrap();
    for (line, words) in [
        ("echo hello; cat > /dev/null", "what it prints belongs on its stderr) for 2 points of 2 coordinates; got `hello`; it wrote nothing to stderr"),
        ("echo one >&2; echo two >&2; exit 3", "got its end (exit status: 3); the end of its stderr: one | two"),
        ("false", "expected a .npy array of shape (2, 3) or (2, 1) on its stdout for 2 points"),
        ("cat wide.npy; cat > /dev/null", "at most 8192 rows of 3 numbers) for 2 points of 2 coordinates; got one of shape (2, 4)"),
        ("cat fine.npy fine.npy; cat > /dev/null", ""),
        ("head -c 100 fine.npy", "got one that ends within its header"),
        ("head -c 140 fine.npy", "got a part of one"),
        ("printf '\\223NUMPY\\011'; exit 1", "ends within its header"),
    ] {
        let program = shell(&folder, line);
        let mut said = String::new();
        // An array too many is in the way of the second answer.
        for _ in 0..2 {
            if let Err(e) = program.ask(&[0.5, 1.5, -2.0, 3.0]) {
                said = e.to_string();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(!said.is_empty() && said.contains(words), "{line}: {said}");
        assert!(said.starts_with(&format!("target program `sh -c {line}`")), "{said}");
    }
    let program = shell(&folder, "cat values.npy; cat > /dev/null");
    let said = program.ask(&[0.0; 6]).unwrap_err().to_string();
    assert!(said.contains("got one of shape (2, 1)"), "{said}");
}

/// Ended by its whole group: the shell's child, too.
#[test]
fn a_program_that_hangs_is_ended_with_its_children_and_so_is_one_that_is_not_needed() {
    let folder = tempfile::tempdir().unwrap();
    let mut hangs = shell(&folder, "sleep 1000 & sleep 1000");
    hangs.spec.timeout = 0.2;
    let id = |program: &Program| Pid::from_raw(lock(&program.child).child.id() as i32);
    let group = id(&hangs);
    let said = hangs.ask(&[0.0; 4]).unwrap_err().to_string();
    assert!(
        said.contains("within 0.2 s") && said.contains("got none (does it flush"),
        "{said}"
    );
    let gone = |group: Pid| {
        // A killed grandchild stays until the system's first process has seen it.
        let until = Instant::now() + Duration::from_secs(5);
        while killpg(group, None).is_ok() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10));
        }
        kill(group, None).is_err()
    };
    assert!(gone(group));
    let again = hangs.ask(&[0.0; 4]).unwrap_err().to_string();
    assert_eq!(again, said);
    let idle = shell(&folder, "cat > /dev/null");
    let group = id(&idle);
    drop(idle);
    assert!(gone(group));
    // Also where a run panics.
    let idle = shell(&folder, "sleep 1000");
    let group = id(&idle);
    let panics = move || {
        let _child = idle;
        panic!("on purpose");
    };
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics)).is_err());
    assert!(gone(group));
}

#[test]
fn a_run_has_one_child_and_none_without_permission() {
    let folder = tempfile::tempdir().unwrap();
    let spec = shell(&folder, "cat fine.npy; cat > /dev/null").spec.clone();
    let programs = starter(true);
    let first = programs.start(&spec).unwrap();
    assert!(first.evaluate(&[0.0; 4], true).is_ok());
    // The same child has answered already.
    let second = programs.start(&spec).unwrap();
    drop(first);
    let short = ProgramSpec {
        timeout: 0.2,
        ..spec.clone()
    };
    assert!(
        programs
            .start(&short)
            .unwrap()
            .evaluate(&[0.0; 4], true)
            .is_ok(),
        "another child"
    );
    drop(second);
    let said = starter(false).start(&spec).err().unwrap().to_string();
    assert!(said.contains("with --run-programs"), "{said}");
    let missing = ProgramSpec {
        command: vec!["no-such-program".to_owned()],
        ..spec
    };
    let said = programs.start(&missing).err().unwrap().to_string();
    assert!(
        said.contains("target program `no-such-program`: could not start it"),
        "{said}"
    );
}
