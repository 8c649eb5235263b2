//! Modules import only modules of lower floors: the table "| floor | modules |" in the documentation of
//! each crate holds.

use std::collections::BTreeMap;
use std::path::Path;

use crate::common::{files, markdown::root};

/// The floor of every module, from the documentation of a crate.
fn floors(documentation: &str) -> BTreeMap<&str, u32> {
    let rows = documentation.lines().filter_map(|line| {
        let (floor, modules) = line.strip_prefix("//! | ")?.split_once(" | ")?;
        Some((floor.parse().ok()?, modules.split(" | ").next()?))
    });
    let modules = rows.flat_map(|(floor, modules)| {
        let names = modules.split('`').skip(1).step_by(2);
        names.map(move |name| (name.trim_start_matches("mod@"), floor))
    });
    modules.collect()
}

/// The modules that code names after `crate::`, alone or in a group, against the table.
fn faults(floors: &BTreeMap<&str, u32>, module: &str, code: &str) -> Vec<String> {
    let own = *floors.get(module).expect(module);
    let names = code.split("crate::").skip(1).flat_map(|rest| {
        let end = if rest.starts_with('{') { ';' } else { ':' };
        let names = rest.split(end).next().unwrap_or_default();
        names.split(|c: char| !c.is_alphanumeric() && c != '_')
    });
    let upward = names.filter(|name| {
        let floor = floors.get(name);
        *name != module && floor.is_some_and(|f| *f >= own && (*f, own) != (0, 0))
    });
    upward.map(|name| format!("{module}: {name}")).collect()
}

#[test]
fn an_upward_import_is_found() {
    let floors = floors("//! | 0 | [`a`], [`mod@b`] | `x` |\n//! | 1 | [`c`], [`d`] | |\n");
    assert_eq!(
        floors,
        BTreeMap::from([("a", 0), ("b", 0), ("c", 1), ("d", 1)])
    );
    let fine = "use crate::{a, b::x};\nuse crate::c::d;";
    assert!(faults(&floors, "c", fine).is_empty());
    assert!(faults(&floors, "a", "use crate::b;").is_empty());
    assert_eq!(faults(&floors, "a", "use crate::{b::x,\n c};"), ["a: c"]);
    assert_eq!(faults(&floors, "c", "crate::d::x()"), ["c: d"]);
}

#[test]
fn imports_go_down_the_floors() {
    for folder in ["src", "crates/core/src"].map(|f| root().join(f)) {
        let text = |file: &Path| std::fs::read_to_string(file).expect("text");
        let documentation = text(&folder.join("lib.rs"));
        let floors = floors(&documentation);
        for file in files(&folder) {
            let inside = file.strip_prefix(&folder).expect("below");
            let first = inside.iter().next().expect("a name").to_string_lossy();
            let module = first.trim_end_matches(".rs");
            if !["lib", "main"].contains(&module) {
                assert_eq!(faults(&floors, module, &text(&file)), [""; 0]);
            }
        }
    }
}
