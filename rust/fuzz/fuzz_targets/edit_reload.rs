//! Editing any bytes: an error, or a file that can be read again, holds what was asked and nothing else that is new, and
//! that a second edit leaves alone. What is asked is told by the bytes of `e_ident` that mean nothing.

#![no_main]

use fastwheel_elf::{Code, Edit, Facts, Name, edit, plan_edit, read};
use libfuzzer_sys::fuzz_target;

const LENGTHS: [usize; 8] = [1, 5, 12, 30, 60, 200, 1000, 5000];

/// The request that the padding of `e_ident` stands for.
fn request(padding: &[u8; 7], facts: &Facts) -> Edit {
    let [what, which, lengths, names @ ..] = *padding;
    let length = |shift: u8| LENGTHS[usize::from(lengths >> shift) % LENGTHS.len()];
    let name = |letter: u8, shift: u8| -> Name {
        let mut name = vec![b'a' + letter % 20; length(shift)];
        // Sometimes a string that is there already, or the end of one.
        if letter >= 128
            && let Some(known) = facts.needed.get(usize::from(letter) % facts.needed.len().max(1))
        {
            name = known[usize::from(letter >> 4) % known.len().max(1)..].to_vec();
        }
        if name.is_empty() { vec![b'x'] } else { name }
    };
    let needed = facts.needed.get(usize::from(which & 7)).filter(|name| !name.is_empty());
    let mut edit = Edit { drop_versions: what & 0x80 != 0, ..Edit::default() };
    if what & 1 != 0 {
        edit.soname = Some(name(names[0], 0));
    }
    match what >> 1 & 3 {
        1 => edit.runpath = Some(name(names[1], 2)),
        2 => edit.rpath = Some(name(names[1], 2)),
        3 => edit.remove_rpath = true,
        _ => {}
    }
    if let Some(old) = needed.filter(|_| what & 8 != 0) {
        edit.replace_needed.push((old.clone(), name(names[2], 4)));
    }
    if what & 16 != 0 {
        edit.add_needed.push(name(names[3], 5));
    }
    if let Some(old) = facts.needed.get(usize::from(which >> 4)).filter(|_| what & 32 != 0) {
        edit.remove_needed.push(old.clone());
    }
    edit
}

/// Checks that `after` is `before` with `edit` done.
fn assert_done(edit: &Edit, before: &Facts, after: &Facts) {
    if edit.soname.is_some() {
        assert_eq!(after.soname, edit.soname);
    } else {
        assert_eq!(after.soname, before.soname);
    }
    if edit.runpath.is_some() || edit.rpath.is_some() || edit.remove_rpath {
        assert_eq!((&after.runpath, &after.rpath), (&edit.runpath, &edit.rpath));
    } else {
        assert_eq!((&after.runpath, &after.rpath), (&before.runpath, &before.rpath));
    }
    for (old, new) in &edit.replace_needed {
        let had = before.needed.contains(old);
        assert!(old == new || !after.needed.contains(old));
        assert!(!had || after.needed.contains(new));
    }
    assert!(edit.add_needed.iter().all(|name| after.needed.contains(name)));
    assert!(edit.remove_needed.iter().all(|name| !after.needed.contains(name)));
    if !edit.drop_versions {
        assert_eq!(after.version_needs.len(), before.version_needs.len());
        for (left, right) in before.version_needs.iter().zip(&after.version_needs) {
            assert_eq!(left.versions, right.versions);
        }
    }
    assert_eq!(after.version_definitions, before.version_definitions);
    assert_eq!(after.undefined, before.undefined);
    assert_eq!(after.undefined_weak, before.undefined_weak);
    assert_eq!(after.init_functions, before.init_functions);
    assert_eq!(after.interpreter, before.interpreter);
    assert_eq!(after.build_id, before.build_id);
    assert_eq!((after.dt_flags, after.dt_flags_1), (before.dt_flags, before.dt_flags_1));
}

fuzz_target!(|data: &[u8]| {
    let padding = data.get(9..16).and_then(|padding| padding.first_chunk::<7>());
    let (Some(padding), Ok(before)) = (padding, read(data)) else {
        // Of names in use that are too long together the editor knows nothing.
        drop(edit(data, &Edit { soname: Some(b"libx.so".to_vec()), ..Edit::default() }));
        return;
    };
    let request = request(padding, &before);
    let output = match edit(data, &request) {
        Ok(output) => output,
        Err(error) => {
            // Set it to look for files that only the check keeps from being spoilt.
            let strict = std::env::var_os("FASTWHEEL_FUZZ_STRICT").is_some();
            assert!(!strict || error.code != Code::Internal, "{error}");
            return;
        }
    };
    let after = read(&output).expect("the output can be read");
    assert_done(&request, &before, &after);
    assert!(output.len() >= data.len());
    assert_eq!(edit(&output, &request).expect("a second edit"), output);
    let plan = plan_edit(data, &request).expect("a plan");
    match plan.patch() {
        None => assert_eq!(output, data),
        Some(patch) => {
            let mut applied = vec![0; patch.size];
            patch.apply(data, &mut applied).expect("the patch is in bounds");
            assert_eq!(applied, output);
        }
    }
});
