//! Reads memory that a client points to, where the client may be wrong about how much of it there is.
//!
//! A callable image tells its own size. If it is corrupt, that size may lead out of the client's memory; the system
//! then refuses to copy, where a plain read would end the process.

use std::ffi::c_void;
use std::io;

use host_library::ErrorKind;
use task_interface::{ChipCallable, ChipCallableHeader, CoreCallableHeader};

use crate::error::Failure;

/// Checks and copies the callable image at `address`.
///
/// # Safety
/// The memory there is not written to meanwhile.
pub(crate) unsafe fn read_callable(address: *const c_void) -> Result<ChipCallable, Failure> {
    if address.is_null() {
        return Err(Failure::null("callable"));
    }
    let corrupt = |error: task_interface::CallableError| {
        Failure::new(ErrorKind::Callable, format!("the callable is not valid: {error}"))
    };
    // SAFETY: as for this function, here and for the other copies.
    let header: ChipCallableHeader = unsafe { read_value(address.cast()) }?;
    let mut unreadable = None;
    let size = header.image_size(|offset| {
        let child = address.cast::<u8>().wrapping_add(offset);
        // SAFETY: see above.
        unsafe { read_value::<CoreCallableHeader>(child) }.or_else(|failure| {
            unreadable = Some(failure);
            Ok(bytemuck::Zeroable::zeroed())
        })
    });
    if let Some(failure) = unreadable {
        return Err(failure);
    }
    let size = size.map_err(corrupt)?;
    // SAFETY: see above.
    let image = unsafe { read_bytes(address.cast(), size) }?;
    ChipCallable::from_bytes(image).map_err(corrupt)
}

/// # Safety
/// The memory there is not written to meanwhile.
unsafe fn read_value<T: bytemuck::Pod>(address: *const u8) -> Result<T, Failure> {
    // SAFETY: as for this function.
    let bytes = unsafe { read_bytes(address, size_of::<T>()) }?;
    Ok(bytemuck::pod_read_unaligned(&bytes))
}

/// # Safety
/// The memory there is not written to meanwhile.
unsafe fn read_bytes(address: *const u8, len: usize) -> Result<Vec<u8>, Failure> {
    let mut bytes: Vec<u8> = Vec::new();
    if bytes.try_reserve_exact(len).is_err() {
        return Err(unreadable(address, len, "more than there is memory for"));
    }
    let local = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: len };
    let remote = libc::iovec { iov_base: address.cast_mut().cast(), iov_len: len };
    // SAFETY: writes at most `len` bytes into the buffer, which has room for them; what it reads it checks.
    let copied =
        unsafe { libc::process_vm_readv(libc::getpid(), &raw const local, 1, &raw const remote, 1, 0) };
    match usize::try_from(copied) {
        Ok(copied) if copied == len => {}
        Ok(copied) => {
            return Err(unreadable(address, len, &format!("only the first {copied} bytes can be read")));
        }
        Err(_) => match io::Error::last_os_error().raw_os_error() {
            Some(libc::EFAULT) => return Err(unreadable(address, len, "nothing of that can be read")),
            // Not allowed here, so that the client is taken at its word.
            // SAFETY: the client says that its image is there; the buffer is another one.
            _ => unsafe { std::ptr::copy_nonoverlapping(address, bytes.as_mut_ptr(), len) },
        },
    }
    // SAFETY: `len` bytes were written, and reserved before.
    unsafe { bytes.set_len(len) };
    Ok(bytes)
}

fn unreadable(address: *const u8, len: usize, why: &str) -> Failure {
    let text = format!(
        "the callable is not valid: it should have {len} bytes at {address:p}, but {why}; \
         pass the whole image"
    );
    Failure::new(ErrorKind::Callable, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> Vec<u8> {
        ChipCallable::builder("build").binary(b"not really a library").build().unwrap().as_bytes().to_vec()
    }

    fn read(image: &[u8]) -> Result<ChipCallable, Failure> {
        // SAFETY: the slice is borrowed for the call.
        unsafe { read_callable(image.as_ptr().cast()) }
    }

    #[test]
    fn an_image_is_read_from_any_alignment() {
        let image = image();
        let mut shifted = vec![0; 1];
        shifted.extend(&image);
        for copy in [&image[..], &shifted[1..]] {
            assert_eq!(read(copy).unwrap().as_bytes(), image);
        }
    }

    #[test]
    fn a_null_image_is_refused() {
        // SAFETY: nothing is read.
        let failure = unsafe { read_callable(std::ptr::null()) }.unwrap_err();
        assert_eq!(failure.kind, ErrorKind::InvalidArgument);
    }

    #[test]
    fn an_address_without_memory_is_refused() {
        // SAFETY: nobody writes there.
        let failure = unsafe { read_callable(std::ptr::without_provenance(64)) }.unwrap_err();
        assert_eq!(failure.kind, ErrorKind::Callable);
        assert!(failure.text.contains("can be read"), "{}", failure.text);
    }

    #[test]
    fn sizes_that_lead_out_of_memory_are_refused() {
        for (offset, value) in [(516, u32::MAX), (8780, 1), (8780, u32::MAX), (8780, 1024)] {
            let mut image = image();
            image[offset..offset + 4].copy_from_slice(&value.to_le_bytes());
            // The first child, where there is one, begins at the end of what 32 bits can say.
            image[4684..4688].copy_from_slice(&(u32::MAX - 63).to_le_bytes());
            assert_eq!(read(&image).unwrap_err().kind, ErrorKind::Callable, "{value} at {offset}");
        }
    }
}
