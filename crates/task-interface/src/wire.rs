//! Shared helpers for wire structures: compile-time layout checks and reads from unaligned foreign bytes.

use bytemuck::AnyBitPattern;

/// Refuses to compile when a structure does not have the size, alignment and field offsets of the contract.
///
/// ```
/// #[repr(C)]
/// struct Pair { first: u32, second: u64 }
/// task_interface::assert_layout!(Pair, size 16, align 8, { first @ 0, second @ 8 });
/// ```
#[macro_export]
macro_rules! assert_layout {
    ($ty:ty, size $size:literal, align $align:literal, { $($field:ident @ $offset:literal),+ $(,)? }) => {
        const _: () = {
            assert!(::core::mem::size_of::<$ty>() == $size);
            assert!(::core::mem::align_of::<$ty>() == $align);
            $(assert!(::core::mem::offset_of!($ty, $field) == $offset);)+
        };
    };
}
pub(crate) use assert_layout;

/// Copies a `T` out of `bytes` at `offset`, whatever the alignment. `None` when it does not fit.
pub(crate) fn read_at<T: AnyBitPattern>(bytes: &[u8], offset: usize) -> Option<T> {
    let end = offset.checked_add(size_of::<T>())?;
    bytemuck::try_pod_read_unaligned(bytes.get(offset..end)?).ok()
}

#[cfg(test)]
mod tests {
    use super::read_at;

    #[test]
    fn reads_inside_and_refuses_outside() {
        let bytes = [1, 2, 0, 0, 0, 9];
        assert_eq!(read_at::<u32>(&bytes, 1), Some(2));
        assert_eq!(read_at::<u32>(&bytes, 3), None);
        assert_eq!(read_at::<u32>(&bytes, usize::MAX), None);
    }
}
