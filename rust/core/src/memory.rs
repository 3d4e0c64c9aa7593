//! Buffers whose size an input decides.

use memmap2::MmapMut;

use crate::guard::Fault;

/// `size` zero bytes, or a fault instead of the abort that `vec!` knows.
pub fn zeros(size: usize) -> Result<Vec<u8>, Fault> {
    Vec::<u8>::new().try_reserve_exact(size).map_err(|_| Fault::Memory)?;
    Ok(vec![0; size])
}

/// `size` zero bytes of which only the pages written to take memory. An allocator gives that only until it has seen buffers
/// as large: then it clears what it kept of them.
pub fn sparse_zeros(size: usize) -> Result<MmapMut, Fault> {
    MmapMut::map_anon(size).map_err(|_| Fault::Memory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sparse_zeros_can_be_none_and_more_than_there_is() {
        assert!(sparse_zeros(0).unwrap().is_empty());
        let mut much = sparse_zeros(1 << 30).unwrap();
        much[1 << 29] = 1;
        assert_eq!(much[(1 << 29) - 1..=1 << 29], [0, 1]);
        assert!(matches!(sparse_zeros(usize::MAX), Err(Fault::Memory)));
    }
}
