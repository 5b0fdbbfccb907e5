//! How one call is to be run.

use core::fmt;

use bytemuck::{Pod, Zeroable};

use crate::error::CallConfigError;
use crate::wire::{assert_layout, read_at};

/// Bytes of the output prefix, including the terminating NUL.
pub const OUTPUT_PREFIX_CAPACITY: usize = 1024;
/// Device-side scheduler threads when nothing is said.
pub const DEFAULT_AICPU_THREAD_NUM: i32 = 3;
/// The most detailed swimlane level.
pub const MAX_L2_SWIMLANE_LEVEL: i32 = 4;

/// How one call is to be run (`spec/public-abi.md`, section B.2). 1052 bytes, packed.
///
/// The public fields are the raw wire values. What a chip can do (largest block dimension, thread counts) is not
/// known here: [`validate`](Self::validate) checks only the rules that hold everywhere.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, packed)]
pub struct CallConfig {
    /// Number of blocks; 0 lets the runtime choose.
    pub block_dim: i32,
    /// Number of device-side scheduler threads.
    pub aicpu_thread_num: i32,
    /// Swimlane level, 0 (off) to 4.
    pub enable_l2_swimlane: i32,
    /// Tensor dump, 0 is off.
    pub enable_dump_tensor: i32,
    /// Counter group of the performance monitor, 0 is off.
    pub enable_pmu: i32,
    /// Dependency recording, 0 is off.
    pub enable_dep_gen: i32,
    /// Scope statistics, 0 is off.
    pub enable_scope_stats: i32,
    /// Path prefix of diagnostic files, NUL-terminated UTF-8.
    pub output_prefix: [u8; OUTPUT_PREFIX_CAPACITY],
}

assert_layout!(CallConfig, size 1052, align 1, {
    block_dim @ 0, aicpu_thread_num @ 4, enable_l2_swimlane @ 8, enable_dump_tensor @ 12, enable_pmu @ 16,
    enable_dep_gen @ 20, enable_scope_stats @ 24, output_prefix @ 28,
});

impl CallConfig {
    /// Reads and validates one configuration from foreign bytes of any alignment.
    ///
    /// # Errors
    /// [`CallConfigError::WrongSize`] unless there are exactly 1052 bytes, and the errors of
    /// [`validate`](Self::validate).
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CallConfigError> {
        let wrong_size = CallConfigError::WrongSize { len: bytes.len() };
        if bytes.len() != size_of::<Self>() {
            return Err(wrong_size);
        }
        let config: Self = read_at(bytes, 0).ok_or(wrong_size)?;
        config.validate()?;
        Ok(config)
    }

    /// The 1052 bytes of the structure.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        bytemuck::bytes_of(self)
    }

    /// Sets the number of blocks; 0 lets the runtime choose.
    ///
    /// # Errors
    /// [`CallConfigError::NegativeBlockDim`].
    pub fn set_block_dim(&mut self, blocks: i32) -> Result<&mut Self, CallConfigError> {
        check_block_dim(blocks)?;
        self.block_dim = blocks;
        Ok(self)
    }

    /// Sets the number of device-side scheduler threads.
    ///
    /// # Errors
    /// [`CallConfigError::NegativeThreadNum`].
    pub fn set_aicpu_thread_num(&mut self, threads: i32) -> Result<&mut Self, CallConfigError> {
        check_thread_num(threads)?;
        self.aicpu_thread_num = threads;
        Ok(self)
    }

    /// Sets the swimlane level, 0 (off) to 4.
    ///
    /// # Errors
    /// [`CallConfigError::SwimlaneLevel`] outside that range.
    pub fn set_l2_swimlane(&mut self, level: i32) -> Result<&mut Self, CallConfigError> {
        check_swimlane(level)?;
        self.enable_l2_swimlane = level;
        Ok(self)
    }

    /// Switches the tensor dump.
    pub fn set_dump_tensor(&mut self, on: bool) -> &mut Self {
        self.enable_dump_tensor = i32::from(on);
        self
    }

    /// Selects the counter group of the performance monitor; 0 switches it off.
    pub fn set_pmu(&mut self, event: i32) -> &mut Self {
        self.enable_pmu = event;
        self
    }

    /// Switches dependency recording.
    pub fn set_dep_gen(&mut self, on: bool) -> &mut Self {
        self.enable_dep_gen = i32::from(on);
        self
    }

    /// Switches scope statistics.
    pub fn set_scope_stats(&mut self, on: bool) -> &mut Self {
        self.enable_scope_stats = i32::from(on);
        self
    }

    /// Sets the path prefix of diagnostic files; the empty string removes it.
    ///
    /// # Errors
    /// [`CallConfigError::PrefixTooLong`] beyond 1023 bytes, [`CallConfigError::PrefixContainsNul`].
    pub fn set_output_prefix(&mut self, prefix: &str) -> Result<&mut Self, CallConfigError> {
        let len = prefix.len();
        if len >= OUTPUT_PREFIX_CAPACITY {
            return Err(CallConfigError::PrefixTooLong { len });
        }
        if let Some(position) = prefix.find('\0') {
            return Err(CallConfigError::PrefixContainsNul { position });
        }
        self.output_prefix = [0; OUTPUT_PREFIX_CAPACITY];
        self.output_prefix[..len].copy_from_slice(prefix.as_bytes());
        Ok(self)
    }

    /// The path prefix of diagnostic files; empty when not set.
    ///
    /// # Errors
    /// [`CallConfigError::PrefixNotTerminated`] or [`CallConfigError::PrefixNotUtf8`] for foreign bytes.
    pub fn output_prefix(&self) -> Result<&str, CallConfigError> {
        let end = self.output_prefix.iter().position(|&byte| byte == 0);
        let end = end.ok_or(CallConfigError::PrefixNotTerminated)?;
        Ok(core::str::from_utf8(&self.output_prefix[..end])?)
    }

    /// Whether any diagnostic is switched on.
    #[must_use]
    pub fn any_diagnostics(&self) -> bool {
        let flags = [
            self.enable_l2_swimlane,
            self.enable_dump_tensor,
            self.enable_pmu,
            self.enable_dep_gen,
            self.enable_scope_stats,
        ];
        flags.iter().any(|&flag| flag != 0)
    }

    /// Checks every rule that holds on all chips.
    ///
    /// # Errors
    /// The first broken rule: negative block dimension or thread count, swimlane level outside 0..=4, unreadable
    /// output prefix, diagnostics without an output prefix.
    pub fn validate(&self) -> Result<(), CallConfigError> {
        check_block_dim(self.block_dim)?;
        check_thread_num(self.aicpu_thread_num)?;
        check_swimlane(self.enable_l2_swimlane)?;
        if self.output_prefix()?.is_empty() && self.any_diagnostics() {
            return Err(CallConfigError::MissingOutputPrefix);
        }
        Ok(())
    }
}

fn check_block_dim(blocks: i32) -> Result<(), CallConfigError> {
    if blocks < 0 { Err(CallConfigError::NegativeBlockDim { value: blocks }) } else { Ok(()) }
}

fn check_thread_num(threads: i32) -> Result<(), CallConfigError> {
    if threads < 0 { Err(CallConfigError::NegativeThreadNum { value: threads }) } else { Ok(()) }
}

fn check_swimlane(level: i32) -> Result<(), CallConfigError> {
    if (0..=MAX_L2_SWIMLANE_LEVEL).contains(&level) {
        Ok(())
    } else {
        Err(CallConfigError::SwimlaneLevel { level })
    }
}

impl Default for CallConfig {
    /// Automatic block dimension, three threads, all diagnostics off.
    fn default() -> Self {
        Self { aicpu_thread_num: DEFAULT_AICPU_THREAD_NUM, ..Self::zeroed() }
    }
}

impl fmt::Debug for CallConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Copies, because references into a packed structure may be misaligned.
        let Self { block_dim, aicpu_thread_num, enable_l2_swimlane, enable_dump_tensor, enable_pmu, .. } =
            *self;
        let Self { enable_dep_gen, enable_scope_stats, .. } = *self;
        f.debug_struct("CallConfig")
            .field("block_dim", &block_dim)
            .field("aicpu_thread_num", &aicpu_thread_num)
            .field("enable_l2_swimlane", &enable_l2_swimlane)
            .field("enable_dump_tensor", &enable_dump_tensor)
            .field("enable_pmu", &enable_pmu)
            .field("enable_dep_gen", &enable_dep_gen)
            .field("enable_scope_stats", &enable_scope_stats)
            .field("output_prefix", &self.output_prefix())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn defaults_are_valid_and_round_trip() {
        let config = CallConfig::default();
        let threads = config.aicpu_thread_num;
        assert_eq!(threads, 3);
        let read = CallConfig::from_bytes(config.as_bytes()).unwrap();
        assert_eq!(read.as_bytes(), config.as_bytes());
        assert_eq!(read.output_prefix(), Ok(""));
    }

    #[test]
    fn diagnostics_need_a_prefix() {
        type Switch = fn(&mut CallConfig);
        let switches: [Switch; 5] = [
            |config| config.enable_l2_swimlane = 4,
            |config| _ = config.set_dump_tensor(true),
            |config| _ = config.set_pmu(2),
            |config| _ = config.set_dep_gen(true),
            |config| _ = config.set_scope_stats(true),
        ];
        for switch in switches {
            let mut config = CallConfig::default();
            assert!(!config.any_diagnostics());
            switch(&mut config);
            let error = config.validate().unwrap_err();
            assert_eq!(error, CallConfigError::MissingOutputPrefix);
            assert!(error.to_string().starts_with("CallConfig: output_prefix must be set whenever any of"));
            config.set_output_prefix("out/run").unwrap();
            assert_eq!(config.validate(), Ok(()));
        }
    }

    #[test]
    fn setters_refuse_what_validate_refuses() {
        let mut config = CallConfig::default();
        assert_eq!(config.set_block_dim(-1).unwrap_err(), CallConfigError::NegativeBlockDim { value: -1 });
        assert_eq!(
            config.set_aicpu_thread_num(-2).unwrap_err(),
            CallConfigError::NegativeThreadNum { value: -2 }
        );
        assert_eq!(config.set_l2_swimlane(5).unwrap_err(), CallConfigError::SwimlaneLevel { level: 5 });
        assert_eq!(config.as_bytes(), CallConfig::default().as_bytes());
        config.set_block_dim(24).unwrap().set_aicpu_thread_num(4).unwrap().set_l2_swimlane(0).unwrap();
        assert_eq!(config.validate(), Ok(()));

        for (offset, expected) in [
            (0, CallConfigError::NegativeBlockDim { value: -1 }),
            (4, CallConfigError::NegativeThreadNum { value: -1 }),
            (8, CallConfigError::SwimlaneLevel { level: -1 }),
        ] {
            let mut bytes = CallConfig::default().as_bytes().to_vec();
            bytes[offset..offset + 4].fill(0xff);
            assert_eq!(CallConfig::from_bytes(&bytes).unwrap_err(), expected);
        }
    }

    #[test]
    fn prefix_rules() {
        let mut config = CallConfig::default();
        config.set_output_prefix(&"x".repeat(1023)).unwrap();
        assert_eq!(config.output_prefix().unwrap().len(), 1023);
        let too_long = config.set_output_prefix(&"x".repeat(1024)).unwrap_err();
        assert_eq!(too_long, CallConfigError::PrefixTooLong { len: 1024 });
        let nul = config.set_output_prefix("a\0b").unwrap_err();
        assert_eq!(nul, CallConfigError::PrefixContainsNul { position: 1 });
        config.set_output_prefix("ab").unwrap();
        assert_eq!(config.output_prefix(), Ok("ab"));
    }

    #[test]
    fn foreign_prefixes_are_checked() {
        let mut config =
            CallConfig { output_prefix: [b'x'; OUTPUT_PREFIX_CAPACITY], ..CallConfig::default() };
        let error = CallConfig::from_bytes(config.as_bytes()).unwrap_err();
        assert_eq!(error, CallConfigError::PrefixNotTerminated);
        config.output_prefix = [0; OUTPUT_PREFIX_CAPACITY];
        config.output_prefix[0] = 0xff;
        assert!(matches!(config.validate(), Err(CallConfigError::PrefixNotUtf8(_))));
        assert!(format!("{config:?}").contains("PrefixNotUtf8"));
        assert_eq!(CallConfig::from_bytes(&[0; 1051]).unwrap_err(), CallConfigError::WrongSize { len: 1051 });
        assert_eq!(CallConfig::from_bytes(&[0; 1053]).unwrap_err(), CallConfigError::WrongSize { len: 1053 });
    }
}
