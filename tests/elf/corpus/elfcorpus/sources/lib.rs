//! A cdylib with thread-locals, a caught panic and a map.
use std::cell::Cell;
use std::collections::BTreeMap;
thread_local!(static COUNTER: Cell<i32> = const { Cell::new(40) });

#[no_mangle]
pub extern "C" fn probe() -> i32 {
    std::panic::set_hook(Box::new(|_| {}));
    let caught = std::panic::catch_unwind(|| panic!("expected")).is_err();
    let map: BTreeMap<String, i32> = [("one".to_string(), 1)].into_iter().collect();
    COUNTER.with(|c| c.set(c.get() + map["one"] + i32::from(caught)));
    COUNTER.with(Cell::get)
}
