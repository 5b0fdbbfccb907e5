//! `libhost_runtime.so`: building it, and a look at its symbols.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, bail};
use host_library::Functions;
use object::read::elf::ElfFile64;
use object::{Endianness, Object as _, ObjectSymbol as _};
use workshop::Product;

use super::Combination;

pub const FILE_NAME: &str = "libhost_runtime.so";

/// The profile of cargo for everything that clients get.
pub const PROFILE: &str = "dist";

/// Builds the library of a combination.
pub fn build(combination: Combination, is_shown: bool) -> Result<Vec<u8>> {
    let features = combination.features();
    let (package, file, profile) = ("host-runtime", FILE_NAME, PROFILE);
    let product = Product { package, file, features: &features, profile, is_shown };
    workshop::build(&product).with_context(|| format!("there is no {FILE_NAME} for {combination}"))
}

/// What the other libraries of a process export, and those of CANN. Clients happen to load the former first, but a
/// host library must not rely on either: it has to load alone.
pub struct Scope {
    exports: BTreeSet<String>,
}

impl Scope {
    pub fn of<'a>(libraries: impl IntoIterator<Item = &'a [u8]>) -> Result<Self> {
        let mut exports: BTreeSet<String> =
            hal_sys::FUNCTIONS.iter().map(|function| function.name.to_owned()).collect();
        for bytes in libraries {
            exports.extend(Symbols::of(bytes)?.exported.into_iter().map(str::to_owned));
        }
        Ok(Self { exports })
    }

    /// Whether a host library exports every function that clients look up, and needs nothing of the scope.
    pub fn check(&self, library: &[u8]) -> Result<()> {
        let symbols = Symbols::of(library)?;
        let required = Functions::SIGNATURES.iter().map(|signature| signature.name);
        let missing: Vec<&str> = required.filter(|name| !symbols.exported.contains(name)).collect();
        if !missing.is_empty() {
            bail!("it lacks {} of the C API's functions: {}", missing.len(), missing.join(", "));
        }
        let needed: Vec<&str> =
            symbols.needed.into_iter().filter(|&name| self.exports.contains(name)).collect();
        if !needed.is_empty() {
            bail!("it does not load alone; other libraries of the process have: {}", needed.join(", "));
        }
        Ok(())
    }
}

/// The dynamic symbols of a shared object.
struct Symbols<'a> {
    exported: BTreeSet<&'a str>,
    /// Without which it does not load.
    needed: BTreeSet<&'a str>,
}

impl<'a> Symbols<'a> {
    fn of(bytes: &'a [u8]) -> Result<Self> {
        let file: ElfFile64<'a, Endianness> = ElfFile64::parse(bytes).context("it is no 64-bit ELF file")?;
        let mut symbols = Self { exported: BTreeSet::new(), needed: BTreeSet::new() };
        for symbol in file.dynamic_symbols() {
            let name = symbol.name().context("it has a symbol without name")?;
            if symbol.is_definition() && symbol.is_global() {
                symbols.exported.insert(name);
            } else if symbol.is_undefined() && !symbol.is_weak() {
                symbols.needed.insert(name);
            }
        }
        Ok(symbols)
    }
}

#[cfg(test)]
mod tests {
    use super::super::c_library::CCompiler;
    use super::*;

    fn compile(source: &str) -> Vec<u8> {
        let scratch = tempfile::tempdir().unwrap();
        let file = scratch.path().join("source.c");
        let exported = "#pragma GCC visibility push(default)\n";
        std::fs::write(&file, format!("{exported}{source}")).unwrap();
        CCompiler::find(scratch.path()).unwrap().library(&file, "libx.so", &[]).unwrap()
    }

    /// All functions of the C API that `keep`.
    fn functions(keep: impl Fn(&str) -> bool) -> String {
        let names = Functions::SIGNATURES.iter().map(|signature| signature.name);
        names.filter(|name| keep(name)).map(|name| format!("void {name}(void) {{}}\n")).collect()
    }

    fn check(library: &str) -> Result<(), String> {
        let log = compile("void unified_log_error(void) {} int x(void) { return 0; }");
        let scope = Scope::of([log.as_slice(), sim::context_library()]).unwrap();
        scope.check(&compile(library)).map_err(|error| error.to_string())
    }

    #[test]
    fn a_library_with_all_functions_passes() {
        check(&functions(|_| true)).unwrap();
        // A use that the library can do without is its own matter.
        let weak =
            "__attribute__((weak)) void unified_log_error(void); void f(void) { unified_log_error(); }";
        check(&(functions(|_| true) + weak)).unwrap();
    }

    #[test]
    fn a_missing_function_is_named() {
        let without = functions(|name| name != "comm_barrier" && name != "run_prepared");
        let error = check(&without).unwrap_err();
        assert_eq!(error, "it lacks 2 of the C API's functions: run_prepared, comm_barrier");
        let declared = without + "void comm_barrier(void); void run_prepared(void) { comm_barrier(); }";
        assert_eq!(check(&declared).unwrap_err(), "it lacks 1 of the C API's functions: comm_barrier");
    }

    #[test]
    fn a_library_that_needs_the_others_is_refused() {
        let uses = "void unified_log_error(void); int pto_cpu_sim_get_bound_device(void);
                    int f(void) { unified_log_error(); return pto_cpu_sim_get_bound_device(); }";
        let error = check(&(functions(|_| true) + uses)).unwrap_err();
        assert!(error.ends_with("have: pto_cpu_sim_get_bound_device, unified_log_error"), "{error}");
        let uses = "int rtMalloc(void); int f(void) { return rtMalloc(); }";
        let error = check(&(functions(|_| true) + uses)).unwrap_err();
        assert!(error.ends_with("other libraries of the process have: rtMalloc"), "{error}");
    }

    #[test]
    fn other_files_are_no_libraries() {
        let scope = Scope::of([]).unwrap();
        assert!(scope.check(b"").is_err() && scope.check(b"!<arch>\n").is_err());
        assert!(Scope::of([b"text".as_slice()]).is_err());
    }
}
