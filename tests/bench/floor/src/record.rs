//! RECORD: the rows of what stays are carried over, those of what is new are made.

use std::collections::HashMap;
use std::fmt::Write;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The lines of a RECORD by the names that they are about.
pub fn rows(text: &str) -> HashMap<String, &str> {
    text.lines().filter(|line| !line.is_empty()).map(|line| (name_of(line), line)).collect()
}

fn name_of(line: &str) -> String {
    match line.strip_prefix('"') {
        None => line.split(',').next().unwrap_or(line).to_owned(),
        Some(rest) => {
            let end = rest.rfind("\",").unwrap_or(rest.len());
            rest[..end].replace("\"\"", "\"")
        }
    }
}

/// Whether a row has no hash, as RECORD's own, or this one.
pub fn agrees(row: &str, digest: &[u8; 32]) -> bool {
    row.ends_with(",,") || row.contains(&format!(",sha256={},", base64(digest)))
}

/// Appends the row of a new file.
pub fn add(record: &mut String, name: &str, digest: &[u8; 32], size: u64) {
    let _ = writeln!(record, "{},sha256={},{size}", quoted(name), base64(digest));
}

/// A name as CSV has it.
pub fn quoted(name: &str) -> String {
    if name.contains([',', '"']) { format!("\"{}\"", name.replace('"', "\"\"")) } else { name.to_owned() }
}

/// URL-safe base64 without padding.
fn base64(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 4 / 3 + 2);
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0_usize, |word, byte| word << 8 | usize::from(*byte))
            << (8 * (3 - chunk.len()));
        for index in 0..=chunk.len() {
            out.push(char::from(ALPHABET[word >> (18 - 6 * index) & 63]));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_of_rfc_4648() {
        let known =
            [("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg"), ("fooba", "Zm9vYmE")];
        for (text, coded) in known {
            assert_eq!(base64(text.as_bytes()), coded);
        }
        assert_eq!(base64(&[0xFB, 0xFF]), "-_8");
    }

    #[test]
    fn names_with_commas_and_quotes() {
        for name in ["a/b.so", "a,b", "say \"hi\", twice"] {
            let line = format!("{},sha256=x,1", quoted(name));
            assert_eq!(name_of(&line), name);
        }
    }
}
