//! A stand-in for CANN on a machine without an NPU. This is a test instrument and no product.
