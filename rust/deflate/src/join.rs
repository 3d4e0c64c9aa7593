//! Streams that end open, so that another one may follow.

use crate::walk::{Malformed, walk_with};

/// Makes a complete stream one that goes on: its last block is no longer called that, and an empty stored block ends it on
/// a whole byte. What follows must not reach back into it unless it knows it.
///
/// The stream is walked over to find the header of its last block.
pub fn leave_open(stream: &mut Vec<u8>) -> Result<(), Malformed> {
    let mut last = None;
    walk_with(stream, &[], |block| last = Some(block.bits))?;
    let bits = last.ok_or(Malformed::Short)?;
    set_bit(stream, bits.start, false);
    // The three bits of the empty block's header are zeros, and so is what fills the byte behind.
    let used = bits.end % 8;
    if used > 0 {
        let last_byte = bits.end / 8;
        for bit in used..8 {
            set_bit(stream, last_byte.saturating_mul(8).saturating_add(bit), false);
        }
    }
    if used == 0 || used > 5 {
        stream.push(0);
    }
    stream.extend_from_slice(&[0, 0, 0xff, 0xff]);
    Ok(())
}

/// Sets or clears one bit of the stream.
pub fn set_bit(stream: &mut [u8], bit: u64, value: bool) {
    let mask = 1_u8.wrapping_shl(u32::try_from(bit % 8).unwrap_or(0));
    if let Some(byte) = usize::try_from(bit / 8).ok().and_then(|at| stream.get_mut(at)) {
        *byte = if value { *byte | mask } else { *byte & !mask };
    }
}
