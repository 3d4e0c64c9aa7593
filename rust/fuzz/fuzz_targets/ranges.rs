//! A file of which only what `ranges` asks for is known reads like the whole one, whatever stands in its other places.

#![no_main]

use std::ops::Range;

use fastwheel_elf::{ranges, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    for filler in [0, 0xff, 0x41] {
        let mut partly = vec![filler; data.len()];
        let mut known = vec![false; data.len()];
        let mut rounds = 0;
        loop {
            let all_known = |range: &Range<u64>| known[range.start as usize..range.end as usize].iter().all(|known| *known);
            let asked = ranges(&partly, all_known);
            let mut complete = true;
            for range in asked {
                let range = range.start as usize..range.end as usize;
                complete &= known[range.clone()].iter().all(|known| *known);
                partly[range.clone()].copy_from_slice(&data[range.clone()]);
                known[range].fill(true);
            }
            if complete {
                break;
            }
            rounds += 1;
            assert!(rounds < 10, "asked again and again");
        }
        assert_eq!(read(&partly), read(data));
    }
});
