//! Buffers whose size an input decides.

use crate::guard::Fault;

/// `size` zero bytes, or a fault instead of the abort that `vec!` knows. The kernel gives their pages at the first write:
/// an input that declares more than it holds costs nothing.
pub fn zeros(size: usize) -> Result<Vec<u8>, Fault> {
    Vec::<u8>::new().try_reserve_exact(size).map_err(|_| Fault::Memory)?;
    Ok(vec![0; size])
}
