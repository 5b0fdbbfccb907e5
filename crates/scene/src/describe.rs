use chip_worker::{ArgDirection, CoreType, NativeGraph, NativeKernel, Platform, RuntimeKind};

use crate::case::Case;

/// What a scene is. It is a plain description: nothing is read, compiled or run to make one.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::exhaustive_structs, reason = "scenes are written as literals, also outside of this crate")]
pub struct Scene {
    /// Its name on command lines.
    pub name: &'static str,
    /// What it shows, in a few words.
    pub summary: &'static str,
    /// The folder of its C++ files, absolute.
    pub folder: &'static str,
    /// Folders that its C++ files include headers from, absolute; searched after the project's own headers.
    pub include_dirs: &'static [&'static str],
    /// The runtime that its orchestrations are written for.
    pub runtime: RuntimeKind,
    /// The platforms it runs on.
    pub platforms: &'static [Platform],
    /// Its callables.
    pub programs: &'static [Program],
    /// Its cases on a platform; each with arguments, golden results and call configuration of its own.
    pub cases: fn(Platform) -> Vec<Case>,
}

/// One callable of a scene: an orchestration and its kernels.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::exhaustive_structs, reason = "scenes are written as literals, also outside of this crate")]
pub struct Program {
    /// Its name within the scene.
    pub name: &'static str,
    /// The orchestration.
    pub graph: Graph,
    /// The kernels.
    pub kernels: &'static [Kernel],
}

/// An orchestration.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::exhaustive_enums, reason = "scenes are written as literals, also outside of this crate")]
pub enum Graph {
    /// C++.
    Cpp {
        /// The file, relative to the scene's folder.
        path: &'static str,
        /// The function that builds the graph.
        entry: &'static str,
    },
    /// Rust.
    Rust(fn() -> NativeGraph),
}

/// A kernel.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::exhaustive_structs, reason = "scenes are written as literals, also outside of this crate")]
pub struct Kernel {
    /// The id by which the orchestration names it.
    pub func_id: u32,
    /// The kind of core that a C++ kernel is compiled for.
    pub core_type: CoreType,
    /// Its code.
    pub code: Code,
    /// What it does with its arguments, for dumps of tensors; empty if that is not said.
    pub signature: &'static [ArgDirection],
}

/// The code of a kernel.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::exhaustive_enums, reason = "scenes are written as literals, also outside of this crate")]
pub enum Code {
    /// A C++ file, relative to the scene's folder.
    Cpp(&'static str),
    /// Rust.
    Rust(fn() -> NativeKernel),
}

impl Kernel {
    /// A kernel in C++.
    #[must_use]
    pub const fn cpp(func_id: u32, core_type: CoreType, path: &'static str) -> Self {
        Self { func_id, core_type, code: Code::Cpp(path), signature: &[] }
    }

    /// A kernel in Rust.
    #[must_use]
    pub const fn rust(func_id: u32, core_type: CoreType, make: fn() -> NativeKernel) -> Self {
        Self { func_id, core_type, code: Code::Rust(make), signature: &[] }
    }

    /// Says what it does with its arguments.
    #[must_use]
    pub const fn signature(mut self, signature: &'static [ArgDirection]) -> Self {
        self.signature = signature;
        self
    }
}

impl Scene {
    /// The program of this name.
    #[must_use]
    pub fn program(&self, name: &str) -> Option<&'static Program> {
        self.programs.iter().find(|program| program.name == name)
    }
}
