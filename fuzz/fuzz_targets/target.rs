//! Every target: Cargo builds this file under the name of each.

#![no_main]

use libfuzzer_sys::fuzz_target;

const NAME: &str = env!("CARGO_BIN_NAME");

thread_local! {
    static TARGET: mdn_fuzz::Target = (mdn_fuzz::by_name(NAME).target)();
}

fuzz_target!(init: mdn_fuzz::sow(NAME), |bytes: &[u8]| {
    TARGET.with(|target| target(bytes));
});
