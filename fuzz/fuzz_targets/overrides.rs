#![no_main]

use libfuzzer_sys::fuzz_target;

thread_local! {
    static TARGET: mdn_fuzz::Target = mdn_fuzz::overrides::target();
}

fuzz_target!(init: mdn_fuzz::sow("overrides"), |bytes: &[u8]| {
    TARGET.with(|target| target(bytes));
});
