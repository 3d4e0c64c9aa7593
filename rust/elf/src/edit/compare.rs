//! The post-conditions on bytes, segments and sections (elf-edit 3.9, V4 to V7 and V9); the second half of `check`.

use std::collections::BTreeMap;

use object::elf::{self, PT_DYNAMIC, PT_GNU_PROPERTY, PT_INTERP, PT_LOAD, PT_NOTE, PT_NULL, PT_PHDR};

use crate::edit::check::{ensure, moved_sections, same_tables, violation};
use crate::edit::evict::Move;
use crate::edit::file::ElfFile;
use crate::edit::items::MOVABLE;
use crate::edit::layout::Layout;
use crate::edit::request::Wanted;
use crate::edit::room::Slot;
use crate::edit::strings::merged;
use crate::edit::write::new_info;
use crate::error::Error;
use crate::header::FileHeader;
use crate::section::{Section, section_name};
use crate::segment::Segment;
use crate::symbol::{SymbolTable, symbol_size};

/// What of [`start`, `end`) is in none of `ranges`, which are ascending and apart.
fn gaps(ranges: &[(u64, u64)], start: u64, end: u64) -> Vec<(u64, u64)> {
    let mut result = Vec::new();
    let mut at = start;
    let first = ranges.partition_point(|(_, high)| *high <= start);
    for (low, high) in ranges.iter().skip(first).take_while(|(low, _)| *low < end) {
        if *low > at {
            result.push((at, *low));
        }
        at = at.max(*high);
    }
    if at < end {
        result.push((at, end));
    }
    result
}

/// The ranges of the input that other rules look after: headers, moved tables, tables with new values.
fn declared(old: &ElfFile<'_>, layout: &Layout) -> Vec<(u64, u64)> {
    let header = &old.header;
    let mut table = header.program_headers_end();
    if layout.new_load.is_some_and(|new| new.slot == Slot::Gap) {
        table = table.saturating_add(header.e_phentsize.into());
    }
    let dynamic_size = old.segments.get(old.dynamic.segment).map_or(0, |segment| segment.p_filesz);
    let range = |start: u64, size: u64| (start, start.saturating_add(size));
    let mut ranges = vec![
        (0, FileHeader::size(old.bytes.class)),
        (header.e_phoff, table),
        (header.e_shoff, old.sections_end()),
        range(old.dynamic.offset, dynamic_size),
        range(old.string_offset, old.strings.size()),
    ];
    let moves = layout.moves.iter().filter(|step| step.item.kind != elf::SHT_DYNAMIC);
    ranges.extend(moves.map(|step| (step.item.offset, step.item.end())));
    ranges.extend(old.needs.iter().map(|need| (need.position, need.end)));
    let kinds = [elf::SHT_SYMTAB, elf::SHT_DYNSYM];
    let tables = old.sections.iter().filter(|section| kinds.contains(&section.sh_type));
    ranges.extend(tables.map(|section| (section.sh_offset, section.end())));
    let versym = old.dynamic.last(elf::DT_VERSYM);
    if let Some(place) = versym.and_then(|address| old.dynamic.space.offset_of(address)) {
        ranges.push(range(place, old.symbols.count.saturating_mul(2)));
    }
    if old.sections.is_empty() {
        ranges.push(range(old.symbols.offset, old.symbols.size()));
        ranges.extend(layout.moves.iter().map(|step| (step.item.offset, step.item.end())));
    }
    ranges
}

/// V4, V9: every byte that no rule looks after is the same; what is new is zero, or a table that moved.
pub fn check_bytes(
    old: &ElfFile<'_>,
    new: &ElfFile<'_>,
    layout: &Layout,
    touched: Option<&[(u64, u64)]>,
) -> Result<(), Error> {
    let inserted = layout.insert_size;
    let size = old.bytes.size();
    let point = if inserted == 0 { size } else { layout.insert_at };
    let behind_point = point.saturating_add(inserted);
    let fresh = merged(layout.moves.iter().map(|step| (step.offset, step.end())).collect());
    let own = merged(declared(old, layout));
    let mut allowed = own.clone();
    for (start, end) in &fresh {
        // A new place, as far as it is in the input: it was zero there, or a table left it.
        let before = (*start, point.min(*end));
        let behind =
            (behind_point.max(*start).saturating_sub(inserted), end.saturating_sub(inserted).min(size));
        for (low, high) in [before, behind] {
            if high <= low {
                continue;
            }
            for (first, second) in gaps(&own, low, high) {
                let text = format_args!("bytes at {first:#x} that mean something are overwritten");
                ensure(old.bytes.is_zero(first, second), "V4", text)?;
            }
            allowed.push((low, high));
        }
    }
    for (start, end) in gaps(&merged(allowed), 0, size) {
        for (low, high, delta) in [(start, end.min(point), 0), (start.max(point), end, inserted)] {
            let same = high <= low
                || suspects(touched, low.saturating_add(delta), high.saturating_add(delta)).into_iter().all(
                    |(first, second)| {
                        old.bytes.slice(first.saturating_sub(delta), second.saturating_sub(delta))
                            == new.bytes.slice(first, second)
                    },
                );
            ensure(same, "V9", format_args!("bytes in [{low:#x}, {high:#x}) differ"))?;
        }
    }
    for (start, end) in [(point, behind_point), (size.saturating_add(inserted), new.bytes.size())] {
        for (low, high) in gaps(&fresh, start, end) {
            ensure(new.bytes.is_zero(low, high), "V9", format_args!("padding at {low:#x} is not zero"))?;
        }
    }
    // The program-header table may have grown into what was sent away for it.
    let table = (new.header.e_phoff, new.header.program_headers_end());
    let filled = merged([&fresh[..], &[table]].concat());
    for step in &layout.moves {
        let at = step.item.offset;
        let left = at.saturating_add(if at >= point { inserted } else { 0 });
        for (low, high) in gaps(&filled, left, left.saturating_add(step.item.size)) {
            if step.item.kind == elf::SHT_DYNAMIC {
                let [first, second] = [low, high].map(|place| place.saturating_sub(left).saturating_add(at));
                let same = new.bytes.slice(low, high) == old.bytes.slice(first, second);
                ensure(same, "V9", "the old dynamic section differs")?;
            } else {
                let text = format_args!("the place at {low:#x} that a table left is not zero");
                ensure(new.bytes.is_zero(low, high), "V9", text)?;
            }
        }
        check_move(old, new, layout, step)?;
    }
    check_dynamic_rest(old, new, if old.dynamic.offset >= point { inserted } else { 0 })
}

/// What of [`start`, `end`) in the output has to be compared: all, or what was written.
fn suspects(touched: Option<&[(u64, u64)]>, start: u64, end: u64) -> Vec<(u64, u64)> {
    let Some(touched) = touched else { return vec![(start, end)] };
    let first = touched.partition_point(|(_, high)| *high <= start);
    let inside = touched.iter().skip(first).take_while(|(low, _)| *low < end);
    inside.map(|(low, high)| (start.max(*low), end.min(*high))).collect()
}

/// V9: behind the last entry there are zeros, and behind the slots that were in use the same as before, if it stays.
fn check_dynamic_rest(old: &ElfFile<'_>, new: &ElfFile<'_>, shifted: u64) -> Result<(), Error> {
    let (before, after) = (old.dynamic.entries.len() as u64, new.dynamic.entries.len() as u64);
    let used = before.max(after).saturating_add(1).saturating_mul(old.entry_size());
    let moved = new.dynamic.offset != old.dynamic.offset.saturating_add(shifted);
    let new_size = new.segments.get(new.dynamic.segment).map_or(0, |segment| segment.p_filesz);
    let start = new.dynamic.offset.saturating_add(after.saturating_mul(old.entry_size()));
    let end = new.dynamic.offset.saturating_add(if moved { new_size } else { used });
    let zero = new.bytes.is_zero(start, end);
    ensure(zero, "V9", "what follows the last dynamic entry is not zero")?;
    if moved {
        return Ok(());
    }
    let size = old.segments.get(old.dynamic.segment).map_or(0, |segment| segment.p_filesz);
    let rest = |file: &ElfFile<'_>| {
        let start = file.dynamic.offset.saturating_add(used);
        file.bytes.slice(start, file.dynamic.offset.saturating_add(size)).to_vec()
    };
    ensure(size <= used || rest(old) == rest(new), "V9", "bytes behind the dynamic table differ")
}

/// V7: a table that moved may move, and its content, unless another rule compares it, is the same.
fn check_move(old: &ElfFile<'_>, new: &ElfFile<'_>, layout: &Layout, step: &Move) -> Result<(), Error> {
    let kind = step.item.kind;
    let number = kind.0;
    if [elf::SHT_STRTAB, elf::SHT_DYNAMIC, elf::SHT_GNU_VERNEED, elf::SHT_GNU_VERSYM, elf::SHT_DYNSYM]
        .contains(&kind)
    {
        return Ok(());
    }
    let may = MOVABLE.contains(&kind) || layout.block.is_some();
    ensure(may, "V7", format_args!("a table of type {number:#x} moved"))?;
    let before = old.bytes.slice(step.item.offset, step.item.end());
    let after = new.bytes.slice(step.offset, step.offset.saturating_add(step.item.size));
    ensure(before == after, "V7", format_args!("the content of a moved table of type {number:#x} differs"))
}

/// Whether `new` may be `offset` in the output: what is at the very point of insertion may be on either side.
fn mapped(layout: &Layout, offset: u64, new: u64) -> bool {
    let stays = layout.insert_size == 0 || offset <= layout.insert_at;
    let moves = layout.insert_size > 0 && offset >= layout.insert_at;
    (stays && new == offset) || (moves && offset.checked_add(layout.insert_size) == Some(new))
}

/// V4, V5, V6: the segments are the old ones, only longer, and sane.
pub fn check_segments(old: &ElfFile<'_>, new: &ElfFile<'_>, layout: &Layout) -> Result<(), Error> {
    let cost = layout.new_load.and_then(|added| added.slot.cost());
    let segments = old.segments.iter().enumerate().filter(|(index, _)| Some(*index) != cost);
    let before: Vec<&Segment> = segments.map(|(_, segment)| segment).collect();
    let mut after: Vec<&Segment> = new.segments.iter().collect();
    if let Some(added) = layout.new_load {
        let here = |segment: &Segment| segment.p_type == PT_LOAD && segment.p_vaddr == added.address;
        let mut found = (0..).zip(&new.segments).filter(|(_, segment)| here(segment));
        let only = found.next().filter(|_| found.next().is_none());
        let right = |segment: &Segment| segment.p_flags == added.flags && segment.p_align == added.align;
        let only = only.filter(|(_, segment)| right(segment));
        let (index, _) = only.ok_or_else(|| violation("V6", "the new PT_LOAD is not there"))?;
        let last = usize::checked_sub(index, 1).and_then(|last| new.segments.get(last));
        let right = last.is_some_and(|last| last.p_type == PT_LOAD);
        ensure(right, "V6", "the new PT_LOAD is not behind the last one")?;
        after.remove(index);
    }
    ensure(before.len() == after.len(), "V5", "the number of program headers differs")?;
    for (left, right) in before.into_iter().zip(after) {
        check_segment(old, new, layout, left, right)?;
    }
    check_order(old, new)
}

fn check_segment(
    old: &ElfFile<'_>,
    new: &ElfFile<'_>,
    layout: &Layout,
    left: &Segment,
    right: &Segment,
) -> Result<(), Error> {
    let kind = left.p_type;
    ensure(kind == right.p_type, "V5", "the order of program headers differs")?;
    let sizes = |segment: &Segment| (segment.p_filesz, segment.p_memsz);
    let placed =
        Segment { p_offset: left.p_offset, p_filesz: left.p_filesz, p_memsz: left.p_memsz, ..*right };
    let same = mapped(layout, left.p_offset, right.p_offset) && placed == *left;
    let unchanged = same && sizes(left) == sizes(right);
    match kind {
        PT_LOAD => {
            ensure(same, "V4", "a PT_LOAD differs in more than its size")?;
            let smaller = right.p_filesz < left.p_filesz || right.p_memsz < left.p_memsz;
            ensure(!smaller, "V4", "a PT_LOAD is smaller")?;
            let zeroed = left.p_memsz != left.p_filesz;
            let grown = right.p_filesz != left.p_filesz && right.p_memsz != left.p_memsz;
            ensure(!(zeroed && grown), "V4", "a PT_LOAD with zeroed memory has grown")
        }
        PT_DYNAMIC => ensure(layout.dynamic_move().is_some() || unchanged, "V5", "PT_DYNAMIC differs"),
        PT_PHDR => Ok(()),
        PT_NULL => ensure(left == right, "V5", "a PT_NULL differs"),
        _ if unchanged => Ok(()),
        _ => {
            let number = kind.0;
            let may = layout.block.is_some() && [PT_INTERP, PT_NOTE, PT_GNU_PROPERTY].contains(&kind);
            ensure(may, "V5", format_args!("the program header of type {number:#x} differs"))?;
            let same = sizes(left) == sizes(right) && left.p_align == right.p_align;
            let text = format_args!("the size of the program header of type {number:#x} differs");
            ensure(same, "V5", text)?;
            let before = old.bytes.slice(left.p_offset, left.end());
            let same = before == new.bytes.slice(right.p_offset, right.end());
            let text = format_args!("the content of the program header of type {number:#x} differs");
            ensure(same, "V5", text)
        }
    }
}

/// V6: what the gate does not check already: pages apart, and PT_PHDR where it says.
fn check_order(old: &ElfFile<'_>, new: &ElfFile<'_>) -> Result<(), Error> {
    let page = new.loads.iter().map(|load| load.p_align.max(4096)).min().unwrap_or(4096);
    let apart = pages_apart(new, page) || !pages_apart(old, page);
    ensure(apart, "V6", "two PT_LOADs share a page")?;
    let Some(was) = old.segments.iter().find(|segment| segment.p_type == PT_PHDR) else { return Ok(()) };
    let exact = |file: &ElfFile<'_>, segment: &Segment| {
        let header = &file.header;
        segment.p_offset == header.e_phoff && segment.end() == header.program_headers_end()
    };
    for segment in new.segments.iter().filter(|segment| segment.p_type == PT_PHDR) {
        let right = exact(new, segment) || !exact(old, was);
        ensure(right, "V6", "PT_PHDR is not the program-header table")?;
        let right = covered(new, segment) || !covered(old, was);
        ensure(right, "V6", "PT_PHDR is in no PT_LOAD")?;
    }
    Ok(())
}

fn pages_apart(file: &ElfFile<'_>, page: u64) -> bool {
    let mut end = 0;
    for load in &file.loads {
        if load.p_vaddr & !page.wrapping_sub(1) < end {
            return false;
        }
        end = load.memory_end();
    }
    true
}

fn covered(file: &ElfFile<'_>, segment: &Segment) -> bool {
    file.loads.iter().any(|load| {
        let inside = segment.p_vaddr.checked_sub(load.p_vaddr);
        let end = segment.p_vaddr.checked_add(segment.p_memsz);
        inside.is_some()
            && end.is_some_and(|end| end <= load.file_part_end())
            && segment.p_offset.checked_sub(load.p_offset) == inside
    })
}

/// V7: the sections are the same, in their segments, none over another.
pub fn check_sections(
    old: &ElfFile<'_>,
    new: &ElfFile<'_>,
    wanted: &Wanted<'_>,
    layout: &Layout,
) -> Result<(), Error> {
    let same = old.sections.len() == new.sections.len();
    ensure(same, "V7", "the number of sections differs")?;
    if old.sections.is_empty() {
        return Ok(());
    }
    let moves = layout.moves.iter().filter(|step| step.item.section > 0);
    let moves: BTreeMap<usize, &Move> = moves.map(|step| (step.item.section, step)).collect();
    for (index, (left, right)) in old.sections.iter().zip(&new.sections).enumerate() {
        let sh_info = new_info(old, wanted, left);
        let placed =
            Section { sh_addr: left.sh_addr, sh_offset: left.sh_offset, sh_size: left.sh_size, ..*right };
        let same = placed == Section { sh_info, ..*left };
        ensure(same, "V7", format_args!("section {index} differs in more than its place"))?;
        if let Some(step) = moves.get(&index) {
            let place = (right.sh_offset, right.sh_addr, right.sh_size);
            let right = place == (step.offset, step.address, step.size);
            ensure(right, "V7", format_args!("section {index} is not where it was put"))?;
        } else if (right.sh_addr, right.sh_size) != (left.sh_addr, left.sh_size) {
            let name = section_name(&old.bytes, &old.header, &old.sections, left);
            let padding = left.sh_type == elf::SHT_NOBITS && name == b".relro_padding";
            let right = padding && right.address_end() == left.address_end();
            ensure(right, "V7", format_args!("section {index} moved"))?;
        } else if left.sh_type == elf::SHT_NULL {
            let text = format_args!("section {index} of type SHT_NULL differs");
            ensure(right == left, "V7", text)?;
        } else {
            let right = mapped(layout, left.sh_offset, right.sh_offset) || left.sh_offset > old.bytes.size();
            ensure(right, "V7", format_args!("sh_offset of section {index} differs"))?;
        }
        let loaded = left.is_alloc() && left.in_file() && in_load(old, left);
        let right = !loaded || in_load(new, right);
        ensure(right, "V7", format_args!("section {index} is outside its PT_LOAD"))?;
    }
    check_overlap(new, &moves)?;
    check_emptied(old, new)?;
    check_symtabs(old, new, layout)
}

fn in_load(file: &ElfFile<'_>, section: &Section) -> bool {
    file.load_at(section.sh_addr).is_some_and(|load| {
        let inside = section.sh_addr.checked_sub(load.p_vaddr);
        section.address_end() <= load.file_part_end()
            && section.sh_offset.checked_sub(load.p_offset) == inside
    })
}

fn check_overlap(new: &ElfFile<'_>, moves: &BTreeMap<usize, &Move>) -> Result<(), Error> {
    let header = &new.header;
    let headers = [
        (0, FileHeader::size(new.bytes.class)),
        (header.e_phoff, header.program_headers_end()),
        (header.e_shoff, new.sections_end()),
    ];
    for index in moves.keys() {
        let Some(section) = new.sections.get(*index) else { continue };
        let over = headers.iter().any(|(low, high)| section.sh_offset < *high && section.end() > *low);
        ensure(!over, "V7", format_args!("section {index} lies over a header"))?;
    }
    let sections = new.sections.iter().enumerate();
    let mut taken: Vec<_> = sections
        .filter(|(index, section)| section.in_file() || (moves.contains_key(index) && section.sh_size > 0))
        .map(|(index, section)| (section.sh_offset, section.end(), index))
        .collect();
    taken.sort_unstable();
    // The section that reaches furthest so far. One that moved lies over no other, so it is behind all before it.
    let mut last: Option<(u64, usize)> = None;
    for (start, end, index) in taken {
        if let Some((furthest, other)) = last.filter(|(furthest, _)| start < *furthest) {
            let moved = moves.contains_key(&index) || moves.contains_key(&other);
            ensure(!moved, "V7", format_args!("section {index} lies over section {other}"))?;
            if end <= furthest {
                continue;
            }
        }
        last = Some((end, index));
    }
    Ok(())
}

fn check_emptied(old: &ElfFile<'_>, new: &ElfFile<'_>) -> Result<(), Error> {
    // A new PT_LOAD comes last.
    for (rank, load) in new.loads.iter().enumerate() {
        let was = old.loads.get(rank).is_none_or(|load| old.has_section_but(load, None));
        ensure(!was || new.has_section_but(load, None), "V7", "a PT_LOAD has no section any more")?;
    }
    Ok(())
}

/// V3, V9: the symbols of `.symtab` are the same, but for the value of those inside tables that moved.
fn check_symtabs(old: &ElfFile<'_>, new: &ElfFile<'_>, layout: &Layout) -> Result<(), Error> {
    let moved = moved_sections(layout);
    let size = symbol_size(old.bytes.class);
    for (left, right) in old.sections.iter().zip(&new.sections) {
        if left.sh_type != elf::SHT_SYMTAB {
            continue;
        }
        let before = old.bytes.slice(left.sh_offset, left.end());
        if before == new.bytes.slice(right.sh_offset, right.end()) {
            continue;
        }
        ensure(left.sh_size.checked_rem(size) == Some(0), "V9", "a symbol table differs")?;
        let count = left.sh_size.checked_div(size).unwrap_or(0);
        let before = SymbolTable::at(&old.bytes, left.sh_offset, count);
        let after = SymbolTable::at(&new.bytes, right.sh_offset, count);
        let same = before.bytes().len() == after.bytes().len() && same_tables(&before, &after, &moved);
        ensure(same, "V9", "a symbol differs")?;
    }
    Ok(())
}
