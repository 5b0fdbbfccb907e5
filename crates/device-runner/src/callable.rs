use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use task_interface::{ArgDirection, ChipCallable, ChipChild, RUNTIME_MAX_FUNC_ID, fnv1a64};

use crate::cache::{CacheRef, Content, ContentCache};
use crate::dev_ptr::DevPtr;
use crate::device::Device;
use crate::error::{DeferredErrors, DeviceError, RunnerError};
use crate::kernel::{KernelHandle, KernelSource, LaunchKernel};
use crate::memory::{DevBuffer, Memory};
use crate::variant::{Orchestration, RuntimeVariant};

/// What a callable is made of, before it is registered.
#[derive(Debug)]
#[non_exhaustive]
pub struct CallableSource {
    /// The graph builder.
    pub orchestration: OrchestrationSource,
    /// Kernels by func id; of equal ids the last counts.
    pub kernels: Vec<(u32, KernelSource)>,
    /// By func id.
    signatures: BTreeMap<u32, Arc<[ArgDirection]>>,
    /// The image it came in, uploaded as a whole for device programs to read.
    image: Option<ChipCallable>,
}

/// Where an orchestration comes from.
#[derive(Clone)]
#[non_exhaustive]
pub enum OrchestrationSource {
    /// A compiled shared object.
    Object {
        /// Its bytes.
        bytes: Arc<[u8]>,
        /// Symbol of the graph builder; may be empty where the variant has a default.
        entry: String,
        /// Symbol of the configuration function; may be empty.
        config: String,
    },
    /// A Rust value of the variant's own type.
    Native(Arc<dyn Any + Send + Sync>),
}

impl fmt::Debug for OrchestrationSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object { bytes, entry, .. } => write!(f, "Object({entry}, {} bytes)", bytes.len()),
            Self::Native(_) => f.write_str("Native"),
        }
    }
}

impl CallableSource {
    /// A callable made of parts.
    #[must_use]
    pub fn new(orchestration: OrchestrationSource, kernels: Vec<(u32, KernelSource)>) -> Self {
        Self { orchestration, kernels, signatures: BTreeMap::new(), image: None }
    }

    /// Says what the kernel of a func id does with its arguments, in their order. Tensor dumps need it.
    #[must_use]
    pub fn signature(mut self, func_id: u32, signature: &[ArgDirection]) -> Self {
        self.signatures.insert(func_id, signature.into());
        self
    }

    /// The parts of an encoded callable.
    ///
    /// # Errors
    /// [`RunnerError::NoOrchestration`] when it has no orchestration bytes.
    pub fn from_image(callable: &ChipCallable) -> Result<Self, RunnerError> {
        if callable.binary().is_empty() {
            return Err(RunnerError::NoOrchestration);
        }
        let orchestration = OrchestrationSource::Object {
            bytes: callable.binary().into(),
            entry: callable.func_name().to_owned(),
            config: callable.config_name().to_owned(),
        };
        let signatures = callable.children().map(|child| (child.func_id, child.callable.signature().into()));
        let (kernels, signatures) = (kernels_of(callable), signatures.collect());
        Ok(Self { orchestration, kernels, signatures, image: Some(callable.clone()) })
    }

    /// The image it came in; `None` when it was made of parts, or a part of it is not that of the image any more.
    #[must_use]
    pub fn image(&self) -> Option<&ChipCallable> {
        self.image.as_ref().filter(|image| self.orchestration_is_of(image) && self.kernels_are_of(image))
    }

    fn orchestration_is_of(&self, image: &ChipCallable) -> bool {
        match &self.orchestration {
            OrchestrationSource::Object { bytes, entry, config } => {
                **bytes == *image.binary() && entry == image.func_name() && config == image.config_name()
            }
            OrchestrationSource::Native(_) => false,
        }
    }

    fn kernels_are_of(&self, image: &ChipCallable) -> bool {
        let same = |(func_id, kernel): &(u32, KernelSource), child: ChipChild<'_>| match kernel {
            KernelSource::Object(bytes) => *func_id == child.func_id && **bytes == *child.callable.binary(),
            KernelSource::Native(_) => false,
        };
        self.kernels.len() == image.child_count()
            && self.kernels.iter().zip(image.children()).all(|(kernel, child)| same(kernel, child))
    }
}

/// The kernels of a callable, by the ids that orchestrations use.
#[derive(Debug, Default)]
pub struct KernelTable {
    kernels: Vec<LaunchKernel>,
    /// Index into `kernels` by func id.
    index: Vec<Option<u32>>,
}

impl KernelTable {
    /// Index of a func id among [`kernels`](Self::kernels).
    #[must_use]
    pub fn index_of(&self, func_id: i32) -> Option<u32> {
        let func_id = usize::try_from(func_id).ok()?;
        self.index.get(func_id).copied().flatten()
    }

    /// All kernels.
    #[must_use]
    pub fn kernels(&self) -> &[LaunchKernel] {
        &self.kernels
    }

    fn find(&self, func_id: u32) -> Option<&LaunchKernel> {
        let position = self.index_of(i32::try_from(func_id).ok()?)?;
        self.kernels.get(position as usize)
    }

    /// Builds a table; of equal func ids the last counts, and ids from 1024 on are not found by it.
    #[must_use]
    pub fn new(kernels: Vec<LaunchKernel>) -> Self {
        let mut index = Vec::new();
        for (position, kernel) in (0u32..).zip(&kernels) {
            let func_id = kernel.func_id as usize;
            if func_id >= RUNTIME_MAX_FUNC_ID {
                continue;
            }
            if index.len() <= func_id {
                index.resize(func_id + 1, None);
            }
            index[func_id] = Some(position);
        }
        Self { kernels, index }
    }
}

/// A kernel that is registered on the device for as long as this lives.
#[derive(Debug)]
pub(crate) struct RegisteredKernel {
    device: Arc<dyn Device>,
    handle: KernelHandle,
    deferred: DeferredErrors,
    // A native kernel is known by its address, which must not be taken by another meanwhile.
    _source: KernelSource,
}

impl Drop for RegisteredKernel {
    fn drop(&mut self) {
        let bound = self.device.bind_thread();
        self.deferred.keep(self.device.unregister_kernel(self.handle).and(bound));
    }
}

/// The bytes of an orchestration, kept once per content.
pub(crate) struct OrchestrationObject {
    pub(crate) bytes: Arc<[u8]>,
}

impl fmt::Debug for OrchestrationObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OrchestrationObject({} bytes)", self.bytes.len())
    }
}

/// An image in device memory, with the kernels its addresses lead to.
#[derive(Debug)]
pub(crate) struct UploadedImage {
    buffer: CacheRef<DevBuffer>,
    _registered: Vec<CacheRef<RegisteredKernel>>,
}

impl UploadedImage {
    pub(crate) fn address(&self) -> DevPtr {
        self.buffer.ptr()
    }
}

/// Caches of everything that several callables may share.
#[derive(Debug)]
pub(crate) struct CallableCaches {
    device: Arc<dyn Device>,
    memory: Arc<Memory>,
    deferred: DeferredErrors,
    pub(crate) kernels: ContentCache<RegisteredKernel>,
    pub(crate) images: ContentCache<DevBuffer>,
    pub(crate) orchestrations: ContentCache<OrchestrationObject>,
}

/// A callable that is ready to run. Dropping it gives back its shares.
#[derive(Debug)]
pub(crate) struct Callable {
    pub(crate) kernels: Arc<KernelTable>,
    pub(crate) orchestration: Box<dyn Orchestration>,
    /// Whether it was launched since it was registered.
    pub(crate) ran: AtomicBool,
    /// The generation of device programs that have its orchestration, since a run of it has ended well there; 0 for
    /// none.
    pub(crate) delivered: AtomicU64,
    _image: Option<CacheRef<DevBuffer>>,
    _object: Option<CacheRef<OrchestrationObject>>,
    _registered: Vec<CacheRef<RegisteredKernel>>,
}

impl CallableCaches {
    pub(crate) fn new(device: Arc<dyn Device>, memory: Arc<Memory>, deferred: DeferredErrors) -> Self {
        Self {
            device,
            memory,
            deferred,
            kernels: ContentCache::default(),
            images: ContentCache::default(),
            orchestrations: ContentCache::default(),
        }
    }

    /// Makes a callable ready to run: kernels, image, orchestration, in this order.
    pub(crate) fn prepare(
        &self,
        variant: &dyn RuntimeVariant,
        source: &CallableSource,
    ) -> Result<Callable, RunnerError> {
        let (kernels, registered) = self.register_kernels(&source.kernels, &source.signatures)?;
        let image = match &source.image {
            Some(image) if image.child_count() > 0 => Some(self.upload(image, &kernels)?),
            _ => None,
        };
        let object = match &source.orchestration {
            OrchestrationSource::Object { bytes, .. } => Some(self.keep_object(variant, bytes)),
            OrchestrationSource::Native(_) => None,
        };
        let orchestration = match (&source.orchestration, &object) {
            (OrchestrationSource::Object { entry, config, .. }, Some(object)) => {
                let shared = OrchestrationSource::Object {
                    bytes: Arc::clone(&object.bytes),
                    entry: entry.clone(),
                    config: config.clone(),
                };
                variant.open(&shared, self.device.runs_images())?
            }
            (native, _) => variant.open(native, self.device.runs_images())?,
        };
        Ok(Callable {
            kernels: Arc::new(kernels),
            orchestration,
            ran: AtomicBool::new(false),
            delivered: AtomicU64::new(0),
            _image: image,
            _object: object,
            _registered: registered,
        })
    }

    fn register_kernels(
        &self,
        sources: &[(u32, KernelSource)],
        signatures: &BTreeMap<u32, Arc<[ArgDirection]>>,
    ) -> Result<(KernelTable, Vec<CacheRef<RegisteredKernel>>), RunnerError> {
        let mut registered = Vec::with_capacity(sources.len());
        let mut kernels = Vec::with_capacity(sources.len());
        for (func_id, kernel) in sources {
            check_func_id(*func_id)?;
            let name = kernel_name(*func_id, kernel);
            let signature = signatures.get(func_id).map_or_else(|| Arc::from([]), Arc::clone);
            let entry = self.register_kernel(&name, kernel, &signature)?;
            kernels.push(LaunchKernel { handle: entry.handle, func_id: *func_id, name, signature });
            registered.push(entry);
        }
        Ok((KernelTable::new(kernels), registered))
    }

    fn register_kernel(
        &self,
        name: &str,
        source: &KernelSource,
        signature: &Arc<[ArgDirection]>,
    ) -> Result<CacheRef<RegisteredKernel>, DeviceError> {
        let (hash, content) = match source {
            KernelSource::Object(bytes) => {
                (fnv1a64(bytes), Content::Kernel(Arc::clone(bytes), Arc::clone(signature)))
            }
            KernelSource::Native(kernel) => (kernel.identity(), Content::Identity(kernel.identity())),
        };
        self.kernels.acquire(hash, content, || {
            self.device.bind_thread()?;
            let handle = self.device.register_kernel(name, source, signature)?;
            Ok(RegisteredKernel {
                device: Arc::clone(&self.device),
                handle,
                deferred: self.deferred.clone(),
                _source: source.clone(),
            })
        })
    }

    /// Copies the image into device memory with each child's resolved address filled in.
    ///
    /// Images are the same only if their addresses are, too: a callable may bring other kernels than its
    /// image has.
    fn upload(
        &self,
        image: &ChipCallable,
        kernels: &KernelTable,
    ) -> Result<CacheRef<DevBuffer>, RunnerError> {
        let mut resolved = image.clone();
        for (index, child) in image.children().enumerate() {
            let address = kernels.find(child.func_id).map_or(0, |kernel| self.entry(kernel.handle));
            resolved.set_resolved_addr(index, address)?;
        }
        let content = Content::Bytes(resolved.as_bytes().into());
        self.images.acquire(resolved.content_hash(), content, || {
            let buffer = self.memory.alloc(resolved.as_bytes().len())?;
            self.memory.copy_to_device(buffer.ptr(), resolved.as_bytes())?;
            Ok(buffer)
        })
    }

    /// What the image says of a kernel: where device programs enter it, or else the device's own handle.
    fn entry(&self, kernel: KernelHandle) -> u64 {
        if self.device.runs_images() { self.device.kernel_entry(kernel) } else { kernel.0 }
    }

    fn keep_object(&self, variant: &dyn RuntimeVariant, bytes: &Arc<[u8]>) -> CacheRef<OrchestrationObject> {
        let made = self.orchestrations.acquire(
            variant.fingerprint(bytes),
            Content::Bytes(Arc::clone(bytes)),
            || Ok::<_, std::convert::Infallible>(OrchestrationObject { bytes: Arc::clone(bytes) }),
        );
        match made {
            Ok(object) => object,
            Err(never) => match never {},
        }
    }

    /// Uploads an image and its kernels without opening the orchestration; `None` without kernels.
    pub(crate) fn upload_image(&self, image: &ChipCallable) -> Result<Option<UploadedImage>, RunnerError> {
        if image.child_count() == 0 {
            return Ok(None);
        }
        let (kernels, registered) = self.register_kernels(&kernels_of(image), &BTreeMap::new())?;
        Ok(Some(UploadedImage { buffer: self.upload(image, &kernels)?, _registered: registered }))
    }

    pub(crate) fn clear(&self) {
        self.orchestrations.clear();
        self.images.clear();
        self.kernels.clear();
    }
}

fn kernels_of(image: &ChipCallable) -> Vec<(u32, KernelSource)> {
    image
        .children()
        .map(|child| (child.func_id, KernelSource::Object(child.callable.binary().into())))
        .collect()
}

fn check_func_id(func_id: u32) -> Result<(), RunnerError> {
    if (func_id as usize) < RUNTIME_MAX_FUNC_ID {
        Ok(())
    } else {
        Err(RunnerError::FuncId { func_id, max: RUNTIME_MAX_FUNC_ID - 1 })
    }
}

fn kernel_name(func_id: u32, source: &KernelSource) -> Arc<str> {
    match source {
        KernelSource::Object(_) => format!("func {func_id}").into(),
        KernelSource::Native(kernel) => Arc::clone(kernel.name()),
    }
}

#[cfg(test)]
mod tests {
    use task_interface::CoreCallable;

    use super::*;

    #[test]
    fn a_source_gives_its_image_back_until_a_part_is_another() {
        let kernel = CoreCallable::encode(&[], b"kernel").unwrap();
        let image = ChipCallable::builder("build").binary(b"graph").child(3, &kernel).build().unwrap();
        let source = || CallableSource::from_image(&image).unwrap();
        assert_eq!(source().image(), Some(&image));

        let parts = source();
        assert_eq!(CallableSource::new(parts.orchestration, parts.kernels).image(), None);
        let changes: [fn(&mut CallableSource); 5] = [
            |source| source.orchestration = OrchestrationSource::Native(Arc::new(())),
            |source| {
                source.orchestration = OrchestrationSource::Object {
                    bytes: b"graph".as_slice().into(),
                    entry: "other".to_owned(),
                    config: String::new(),
                };
            },
            |source| source.kernels[0].0 = 4,
            |source| source.kernels[0].1 = KernelSource::Object(b"another".as_slice().into()),
            |source| source.kernels.clear(),
        ];
        for change in changes {
            let mut changed = source();
            change(&mut changed);
            assert_eq!(changed.image(), None);
        }
    }
}
