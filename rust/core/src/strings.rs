//! Strings compiled into a file, found without holding the file; see `engine.study`.

use std::collections::HashSet;
use std::fs::File;

use memchr::memmem::Finder;
use memchr::{memchr, memrchr};

use crate::file::read_at;
use crate::guard::Fault;
use crate::memory::zeros;

/// The longest C string that is looked at, bytes; so many before and behind a hit are looked at, too.
const LONGEST: usize = 1024;
/// No more strings than these are told of one pattern.
const MOST: usize = 4096;
/// Bytes read at a time.
const PIECE: usize = 1024 * 1024;

/// The printable C strings of `file` that hold `pattern`, each once, in the order of `ranges` and of their places.
pub fn strings(file: &File, ranges: &[(u64, u64)], pattern: &[u8]) -> Result<Vec<String>, Fault> {
    let mut found = Vec::new();
    let mut seen = HashSet::new();
    let finder = Finder::new(pattern);
    let size = file.metadata()?.len();
    let mut window = zeros(PIECE.saturating_add(2 * LONGEST))?;
    for (low, high) in ranges {
        let (low, high) = (*low.min(&size), *high.min(&size));
        // `window` holds the file from `start` on; hits are looked for from `cursor` on.
        let mut cursor = low;
        while cursor < high && found.len() < MOST {
            let start = cursor.saturating_sub(LONGEST as u64).max(low);
            let length = usize::try_from(high.saturating_sub(start)).unwrap_or(usize::MAX).min(window.len());
            let bytes = window.get_mut(..length).unwrap_or_default();
            let filled = read_at(file, bytes, start)?;
            let bytes = bytes.get(..filled).unwrap_or_default();
            let last = start.saturating_add(filled as u64) >= high || filled < length;
            // A hit nearer to the end than that is for the next window, unless there is none.
            let certain = if last { filled } else { filled.saturating_sub(LONGEST) };
            let mut at = usize::try_from(cursor.saturating_sub(start)).unwrap_or(usize::MAX);
            while found.len() < MOST {
                let Some(hit) = bytes.get(at..).and_then(|rest| finder.find(rest)) else {
                    at = at.max(certain);
                    break;
                };
                at = at.saturating_add(hit);
                if at >= certain {
                    break;
                }
                let (text, end) = around(bytes, at, pattern.len());
                if let Some(text) = text
                    && !seen.contains(text)
                {
                    seen.insert(text.to_vec());
                    found.push(text.iter().map(|byte| char::from(*byte)).collect());
                }
                at = end;
            }
            if last {
                break;
            }
            cursor = start.saturating_add(at as u64);
        }
    }
    Ok(found)
}

/// The printable C string with a hit at `at`, if there is one, and where to go on.
fn around(bytes: &[u8], at: usize, length: usize) -> (Option<&[u8]>, usize) {
    let first = at.saturating_sub(LONGEST);
    let before = bytes.get(first..at.saturating_add(1)).unwrap_or_default();
    let behind =
        bytes.get(at.saturating_add(1)..bytes.len().min(at.saturating_add(LONGEST))).unwrap_or_default();
    let Some(size) = memchr(0, behind) else { return (None, at.saturating_add(length)) };
    let end = at.saturating_add(1).saturating_add(size);
    let start = memrchr(0, before).map(|place| first.saturating_add(place).saturating_add(1));
    let text = start.and_then(|start| bytes.get(start..end));
    (text.filter(|text| text.iter().all(|byte| (b' '..=b'~').contains(byte))), end)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;
    use crate::file::memory_file;

    fn found(content: &[u8], ranges: &[(u64, u64)], pattern: &[u8]) -> Vec<String> {
        let file = memory_file().unwrap();
        file.write_all_at(content, 0).unwrap();
        strings(&file, ranges, pattern).unwrap()
    }

    #[test]
    fn strings_are_found_wherever_windows_end() {
        for filler in
            (PIECE - 50..PIECE + 50).chain(PIECE + LONGEST - 60..PIECE + 2 * LONGEST + 60).step_by(7)
        {
            let mut content = vec![b'x'; filler];
            content.extend_from_slice(b"\0/usr/lib/first\0libz.so.1\0\xff/bad\0/usr/lib/first\0");
            content.extend_from_slice(&[b'y'; 3000]);
            content.extend_from_slice(b"\0/usr/lib/last\0");
            let whole = [(0, u64::MAX)];
            assert_eq!(found(&content, &whole, b"\0/"), ["/usr/lib/first", "/usr/lib/last"], "{filler}");
            assert_eq!(found(&content, &whole, b".so"), ["libz.so.1"], "{filler}");
        }
    }

    #[test]
    fn a_string_without_an_end_or_a_beginning_in_the_range_is_none() {
        let content = b"\0/usr/share/x\0";
        assert_eq!(found(content, &[(0, 14)], b"\0/"), ["/usr/share/x"]);
        assert_eq!(found(content, &[(0, 13)], b"\0/"), [""; 0]);
        assert_eq!(found(content, &[(1, 14)], b"share"), [""; 0]);
    }
}
