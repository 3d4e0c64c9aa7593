//! Reading any bytes: facts or an error, never a panic; and what the three readers say agrees.

#![no_main]

use fastwheel_elf::{links, read, symbols};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let facts = read(data);
    if let (Ok(facts), Ok(links)) = (&facts, links(data)) {
        for one in &links.undefined {
            let names = if one.weak { &facts.undefined_weak } else { &facts.undefined };
            assert!(names.contains(&one.name));
        }
    }
    let symbols = symbols(data);
    if let (Ok(facts), Ok(symbols)) = (facts, symbols) {
        for name in facts.undefined.iter().chain(&facts.undefined_weak) {
            assert!(symbols.iter().any(|symbol| symbol.section == 0 && symbol.name == name));
        }
        assert!(facts.dynamic || symbols.is_empty());
    }
});
