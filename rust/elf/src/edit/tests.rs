//! The editor as a whole, on tiny files made by hand. The differential tests in `tests/core` hold it to its twin.

use object::elf;

use crate::edit::{Edit, Rung, edit, plan_edit};
use crate::error::Code;
use crate::facts::read;
use crate::tests::Builder;

/// A library that needs `liba.so` with a version, and `libb.so`.
fn library(mut builder: Builder) -> Builder {
    for name in ["liba.so", "libb.so"] {
        builder.string_entry(elf::DT_NEEDED, name);
    }
    builder.string_entry(elf::DT_SONAME, "libown.so.1");
    let [file, name] = ["liba.so", "A_1"].map(|text| {
        let end = [text.as_bytes(), b"\0"].concat();
        let found = builder.strings.windows(end.len()).position(|window| window == end);
        found.map_or_else(|| builder.string(text), |at| at as u32)
    });
    let symbol = builder.string("function");
    let mut table = builder.words();
    table.half(1).half(1).word(file).word(16).word(0);
    table.word(7).half(0).half(2).word(name).word(0);
    builder.table(elf::DT_VERNEED, &table);
    builder.entries.push((elf::DT_VERNEEDNUM, 1));
    let mut symbols = builder.words();
    for (name, info) in [(0, 0), (symbol, 0x12)] {
        match symbols.class {
            crate::Class::Elf32 => symbols.word(name).word(0).word(0).byte(info).byte(0).half(0),
            crate::Class::Elf64 => symbols.word(name).byte(info).byte(0).half(0).xword(0).xword(0),
        };
    }
    builder.table(elf::DT_SYMTAB, &symbols);
    let mut hash = builder.words();
    hash.word(1).word(2).word(1).word(0).word(0);
    builder.table(elf::DT_HASH, &hash);
    let mut versym = builder.words();
    versym.half(0).half(2);
    builder.table(elf::DT_VERSYM, &versym);
    builder
}

fn all() -> Vec<Builder> {
    Builder::all().into_iter().map(library).collect()
}

fn first() -> Vec<u8> {
    library(Builder::all().remove(0)).bytes()
}

fn name(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

#[test]
fn nothing_to_do_is_the_same_bytes() {
    for builder in all() {
        let data = builder.bytes();
        let same = Edit {
            soname: Some(name("libown.so.1")),
            remove_rpath: true,
            add_needed: vec![name("libb.so")],
            replace_needed: vec![(name("libz.so"), name("liby.so"))],
            ..Edit::default()
        };
        for request in [Edit::default(), same] {
            let plan = plan_edit(&data, &request).unwrap();
            assert_eq!((plan.rung(), plan.patch(), plan.size()), (None, None, data.len()));
            assert_eq!(edit(&data, &request).unwrap(), data);
        }
    }
}

#[test]
fn a_repair_of_both_classes_and_byte_orders() {
    let request = Edit {
        soname: Some(name("libown-0a1b2c3d.so.1")),
        runpath: Some(name("$ORIGIN/../x.libs")),
        replace_needed: vec![(name("liba.so"), name("liba-01234567.so"))],
        remove_needed: vec![name("libb.so")],
        add_needed: vec![name("libnew.so")],
        ..Edit::default()
    };
    for builder in all() {
        let data = builder.bytes();
        let before = read(&data).unwrap();
        let output = edit(&data, &request).unwrap();
        let after = read(&output).unwrap();
        assert_eq!(after.soname, request.soname);
        assert_eq!(after.runpath, request.runpath);
        assert_eq!(after.needed, [name("liba-01234567.so"), name("libnew.so")]);
        assert_eq!(after.version_needs[0].file, b"liba-01234567.so");
        assert_eq!(after.version_needs[0].versions, before.version_needs[0].versions);
        assert_eq!(after.undefined, before.undefined);
        let symbols = crate::symbols(&output).unwrap();
        assert_eq!(symbols[0].version_file, Some(&b"liba-01234567.so"[..]));
        assert_eq!(edit(&output, &request).unwrap(), output);
        let plan = plan_edit(&data, &request).unwrap();
        assert_eq!(plan.rung(), Some(Rung::Extend));
        let mut applied = vec![0; plan.size()];
        plan.patch().unwrap().apply(&data, &mut applied).unwrap();
        assert_eq!(applied, output);
    }
}

#[test]
fn what_fits_stays_in_place() {
    for builder in all() {
        let data = builder.bytes();
        // The old name is dead then, and the new one is not longer.
        let request = Edit { soname: Some(name("libnew.so.2")), ..Edit::default() };
        let plan = plan_edit(&data, &request).unwrap();
        assert_eq!((plan.rung(), plan.size()), (Some(Rung::InPlace), data.len()));
        let output = edit(&data, &request).unwrap();
        assert_eq!(read(&output).unwrap().soname, request.soname);
        // The end of a string in use.
        let request = Edit { soname: Some(name("b.so")), ..Edit::default() };
        let output = edit(&data, &request).unwrap();
        assert_eq!(read(&output).unwrap().soname, request.soname);
        assert!(!output.windows(6).any(|window| window == b"libown"), "the old name is wiped");
    }
}

#[test]
fn versions_go_only_if_that_is_allowed() {
    let mut request = Edit { remove_needed: vec![name("liba.so")], ..Edit::default() };
    for builder in all() {
        let data = builder.bytes();
        request.drop_versions = false;
        let error = edit(&data, &request).unwrap_err();
        assert_eq!((error.code, error.hint.is_some()), (Code::VersionNeedInUse, true));
        request.drop_versions = true;
        let output = edit(&data, &request).unwrap();
        let facts = read(&output).unwrap();
        assert_eq!((facts.needed, facts.version_needs.len()), (vec![name("libb.so")], 0));
        assert_eq!(crate::symbols(&output).unwrap()[0].version, None);
    }
}

#[test]
fn two_names_that_become_one_are_one() {
    let data = first();
    let request = Edit { replace_needed: vec![(name("libb.so"), name("liba.so"))], ..Edit::default() };
    assert_eq!(read(&edit(&data, &request).unwrap()).unwrap().needed, [name("liba.so")]);
}

#[test]
fn wishes_that_make_no_sense() {
    let data = first();
    let (a, b, c) = (name("a"), name("b"), name("c"));
    let bad = [
        Edit { soname: Some(Vec::new()), ..Edit::default() },
        Edit { soname: Some(name("a\0b")), ..Edit::default() },
        Edit { soname: Some(vec![b'x'; 65536]), ..Edit::default() },
        Edit { soname: Some(name("ld-musl-x86_64.so.1")), ..Edit::default() },
        Edit { rpath: Some(name("::")), ..Edit::default() },
        Edit { rpath: Some(a.clone()), runpath: Some(b.clone()), ..Edit::default() },
        Edit { rpath: Some(a.clone()), remove_rpath: true, ..Edit::default() },
        Edit { replace_needed: vec![(a.clone(), b.clone()), (a.clone(), c)], ..Edit::default() },
        Edit { replace_needed: vec![(a.clone(), b.clone())], remove_needed: vec![b], ..Edit::default() },
        Edit { add_needed: vec![a.clone()], remove_needed: vec![a], ..Edit::default() },
    ];
    for request in bad {
        assert_eq!(edit(&data, &request).unwrap_err().code, Code::BadEdit, "{request:?}");
    }
}

#[test]
fn names_are_shown_as_python_shows_them() {
    let request = Edit { rpath: Some(b":\n".to_vec()), remove_rpath: true, ..Edit::default() };
    assert_eq!(edit(b"", &request).unwrap_err().code, Code::BadEdit);
    let odd = "é\u{7f}\u{200b}\u{e0001}\0".as_bytes();
    let request = Edit { soname: Some([odd, b"\xff"].concat()), ..Edit::default() };
    let error = edit(b"", &request).unwrap_err();
    assert_eq!(error.message, "soname é\\x7f\\u200b\\U000e0001\\x00\\udcff: a NUL in the name");
}

#[test]
fn files_that_are_not_edited() {
    let request = Edit { soname: Some(name("libnew.so")), ..Edit::default() };
    let mut object = first();
    object[16] = 1;
    assert_eq!(edit(&object, &request).unwrap_err().code, Code::NotEditable);
    for (tag, value, code) in [
        (elf::DT_GNU_PRELINKED, 1, Code::NotEditable),
        (elf::DT_VERDEFNUM, 1, Code::Versions),
        (elf::DT_AUDIT, 0xffff, Code::Strings),
    ] {
        let mut builder = library(Builder::all().remove(0));
        builder.entries.push((tag, value));
        assert_eq!(edit(&builder.bytes(), &request).unwrap_err().code, code, "{tag:?}");
    }
    let mut loader = Builder::all().remove(0);
    loader.string_entry(elf::DT_SONAME, "ld-linux-x86-64.so.2");
    assert_eq!(edit(&loader.bytes(), &request).unwrap_err().code, Code::NotEditable);
}

#[test]
fn bytes_behind_the_file_stay_and_stop_its_growth() {
    let data = [first(), b"PK archive of more than sixteen bytes".to_vec()].concat();
    let request = Edit { soname: Some(name("libother.so")), ..Edit::default() };
    let output = edit(&data, &request).unwrap();
    assert_eq!(output[output.len() - 20..], data[data.len() - 20..]);
    let request = Edit { add_needed: vec![vec![b'x'; 100]], ..Edit::default() };
    assert_eq!(edit(&data, &request).unwrap_err().code, Code::NotEditable);
}

#[test]
fn no_truncation_and_no_changed_byte_is_too_much() {
    let data = first();
    let request = Edit {
        soname: Some(name("libown-0a1b2c3d.so.1")),
        add_needed: vec![name("libnew.so")],
        ..Edit::default()
    };
    for length in 0..data.len() {
        assert!(edit(&data[..length], &request).is_err());
    }
    let mut edited = 0;
    for at in 0..data.len() {
        for value in [0, 1, 0x7f, 0xff] {
            let mut changed = data.clone();
            changed[at] = value;
            if let Ok(output) = edit(&changed, &request) {
                assert_eq!(edit(&output, &request).unwrap(), output, "{at}");
                edited += 1;
            }
        }
    }
    assert!(edited > 500, "{edited}");
}

#[test]
fn the_check_finds_every_changed_byte() {
    let requests = [
        Edit { soname: Some(name("libnew.so.2")), ..Edit::default() },
        Edit { runpath: Some(name("$ORIGIN/../x.libs")), ..Edit::default() },
    ];
    for builder in all() {
        let data = builder.bytes();
        for request in &requests {
            let plan = plan_edit(&data, request).unwrap();
            let (layout, patch) = plan.made.as_ref().unwrap();
            let mut output = vec![0; plan.size()];
            plan.write_to(&mut output).unwrap();
            plan.check_patched(&output).unwrap();
            let written = patch.touched();
            let mut passed = Vec::new();
            for at in 0..output.len() {
                output[at] ^= 0x41;
                let checked = super::check(
                    &plan.file,
                    &plan.wanted,
                    &plan.entries,
                    layout,
                    &output,
                    &plan.request,
                    None,
                );
                // What is written is looked at as closely where the rest is the input by construction.
                let place = at as u64;
                if written.iter().any(|(start, end)| (*start..*end).contains(&place)) {
                    assert_eq!(plan.check_patched(&output).is_ok(), checked.is_ok(), "{at}");
                }
                match checked {
                    Ok(()) => passed.push(at),
                    Err(error) => assert_eq!(error.code, Code::Internal, "{at}: {error}"),
                }
                output[at] ^= 0x41;
            }
            // p_paddr, which nothing reads.
            let (start, size) = match builder.class {
                crate::Class::Elf32 => (52, 32),
                crate::Class::Elf64 => (64, 56),
            };
            passed.retain(|at| *at >= start + 3 * size);
            assert_eq!(passed, [0_usize; 0], "{:?} {:?}", layout.rung, patch.writes.len());
        }
    }
}
