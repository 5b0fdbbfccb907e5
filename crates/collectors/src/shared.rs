use std::error::Error;

/// Device memory in which collectors make their blocks.
pub trait SharedMemory: Clone + Send + 'static {
    /// What can go wrong with it.
    type Error: Error + Send + Sync + 'static;
    /// A block.
    type Block: Shared<Error = Self::Error>;

    /// Makes the calling thread one that may use blocks; whoever opens a collection has done so.
    ///
    /// # Errors
    /// When the device cannot be reached from here.
    fn attach(&self) -> Result<(), Self::Error>;

    /// Makes a block with this content, whose length is a multiple of 64. The device sees it when it is
    /// [published](Shared::publish).
    ///
    /// # Errors
    /// When there is no memory. Nothing is left of it then.
    fn block(&self, content: Vec<u8>) -> Result<Self::Block, Self::Error>;
}

/// The block that a collector shares with the device, and the buffers that both hand to each other.
///
/// The device reads and writes all of it at any time, so there is no reference into it. Offsets are from the start of
/// the block; they come from layouts, and what is outside is a mistake in these. Words are aligned, and little-endian.
///
/// A host that has a copy of the block only sees what was there when it was last brought up to date.
pub trait Shared: Send + 'static {
    /// What can go wrong.
    type Error: Error + Send + Sync + 'static;

    /// Where the block is on the device. It starts at a multiple of 64.
    fn address(&self) -> u64;

    /// Shows the block to the device, with all that was written to it until then. Needed once, before the device is
    /// told of it.
    ///
    /// # Errors
    /// When the device cannot be reached; so with all others.
    fn publish(&mut self) -> Result<(), Self::Error>;

    /// Brings what is read of the block up to date.
    ///
    /// # Errors
    /// When the device cannot be reached; so with all others.
    fn refresh(&mut self) -> Result<(), Self::Error>;

    /// Likewise, of a part.
    ///
    /// # Errors
    /// Also for a part that is outside; so with all others that take an offset.
    fn refresh_part(&mut self, offset: usize, bytes: usize) -> Result<(), Self::Error>;

    /// What the block had when it was brought up to date, or later.
    ///
    /// # Errors
    /// As above.
    fn load_u32(&self, offset: usize) -> Result<u32, Self::Error>;

    /// Likewise, of 64 bits.
    ///
    /// # Errors
    /// As above.
    fn load_u64(&self, offset: usize) -> Result<u64, Self::Error>;

    /// Writes a single field, and nothing else. Whoever sees it sees what was written before, to buffers too.
    ///
    /// # Errors
    /// As above.
    fn store_u32(&mut self, offset: usize, value: u32) -> Result<(), Self::Error>;

    /// Likewise, of 64 bits.
    ///
    /// # Errors
    /// As above.
    fn store_u64(&mut self, offset: usize, value: u64) -> Result<(), Self::Error>;

    /// A new buffer in device memory, with undefined contents, which goes with the block. It starts at a multiple of
    /// 64.
    ///
    /// # Errors
    /// When there is no memory.
    fn allocate(&mut self, bytes: usize) -> Result<u64, Self::Error>;

    /// Fills the start of such a buffer that the device does not use.
    ///
    /// # Errors
    /// When the device cannot be reached.
    fn fill(&mut self, buffer: u64, content: &[u8]) -> Result<(), Self::Error>;

    /// Copies from such a buffer, from wherever inside it.
    ///
    /// # Errors
    /// When the device cannot be reached.
    fn read(&mut self, address: u64, bytes: &mut [u8]) -> Result<(), Self::Error>;

    /// Gives everything back. Nobody can be told of an error; what the device may still write to has to be kept until
    /// it cannot any more.
    fn release(self);

    /// As [`release`](Self::release), of a block that programs may write to even in later launches, which do not ask
    /// for it: those of others hold on to the swimlane's (`spec/device-abi.md`, trap 20). It is enough to keep the last.
    fn retire(self);
}

/// The content of a block: zeros, but for what is put there.
pub(crate) struct Content(Vec<u8>);

impl Content {
    pub(crate) fn new(bytes: usize) -> Self {
        Self(vec![0; bytes])
    }

    /// Puts a value there, which has to be inside.
    pub(crate) fn put(mut self, offset: usize, value: impl bytemuck::NoUninit) -> Self {
        let bytes = bytemuck::bytes_of(&value);
        self.0[offset..offset + bytes.len()].copy_from_slice(bytes);
        self
    }

    /// Makes the block, and what `fill` adds to it; nothing is left of a failed try.
    pub(crate) fn block<M: SharedMemory, T>(
        self,
        memory: &M,
        fill: impl FnOnce(&mut M::Block) -> Result<T, M::Error>,
    ) -> Result<(M::Block, T), M::Error> {
        let mut block = memory.block(self.0)?;
        match fill(&mut block) {
            Ok(filled) => Ok((block, filled)),
            Err(error) => {
                block.release();
                Err(error)
            }
        }
    }
}

/// A buffer with this content.
pub(crate) fn upload<S: Shared>(shared: &mut S, content: &[u8]) -> Result<u64, S::Error> {
    let buffer = shared.allocate(content.len())?;
    shared.fill(buffer, content)?;
    Ok(buffer)
}

/// A ring of zeros for each core, and the table of their addresses, which is returned. Each address is also put into
/// the core's state: those are `stride` bytes apart, and `field` is the place in the first.
pub(crate) fn rings<S: Shared>(
    shared: &mut S,
    cores: u32,
    bytes: usize,
    field: usize,
    stride: usize,
) -> Result<u64, S::Error> {
    let cores = cores as usize;
    let first = upload(shared, &vec![0; cores * bytes])?;
    let addresses: Vec<u64> = (0..cores).map(|core| first + (core * bytes) as u64).collect();
    for (core, &address) in addresses.iter().enumerate() {
        shared.store_u64(field + core * stride, address)?;
    }
    let table: Vec<u8> = addresses.iter().flat_map(|address| address.to_le_bytes()).collect();
    upload(shared, &table)
}

/// The value at the start of a record; `None` of one that is shorter.
pub(crate) fn head_of<T: bytemuck::AnyBitPattern>(bytes: &[u8]) -> Option<T> {
    bytemuck::try_pod_read_unaligned(bytes.get(..size_of::<T>())?).ok()
}
