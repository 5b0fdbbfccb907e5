use std::io;
use std::path::PathBuf;

use crate::elf::ElfError;

/// Why an object could not be loaded or a symbol not be found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The bytes are not a shared object for this process.
    #[error("object `{name}` cannot be loaded: {source}")]
    NotLoadable {
        /// The name hint of the object.
        name: String,
        /// What is wrong with the bytes.
        source: ElfError,
    },
    /// Neither a memory file nor a temporary file could be made.
    #[error(
        "object `{name}` cannot be stored in {}: {source}; make room there or set TMPDIR to another directory",
        directory.display()
    )]
    NotStored {
        /// The name hint of the object.
        name: String,
        /// The directory for temporary files.
        directory: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The object uses a symbol that is defined nowhere.
    #[error(
        "object `{name}`: undefined symbol {symbol}: the object was compiled against something that is neither in \
         it nor in a library it is linked with; define the symbol or link its library ({reason})"
    )]
    UndefinedSymbol {
        /// The name hint of the object.
        name: String,
        /// The symbol as the linker spells it (C++ names are mangled).
        symbol: String,
        /// The text of the dynamic loader.
        reason: String,
    },
    /// The dynamic loader refused the object for another reason, for example a missing library.
    #[error("object `{name}` was refused by the dynamic loader: {reason}")]
    Refused {
        /// The name hint of the object.
        name: String,
        /// The text of the dynamic loader.
        reason: String,
    },
    /// The dynamic loader took the object for one that is already loaded.
    #[error(
        "object `{name}`: the dynamic loader returned another object that is already loaded; load it again"
    )]
    NotDistinct {
        /// The name hint of the object.
        name: String,
    },
    /// The object does not export a symbol.
    #[error(
        "object `{name}` has no symbol `{symbol}`; check the spelling, and that it is declared extern \"C\" with \
         default visibility"
    )]
    MissingSymbol {
        /// The name hint of the object.
        name: String,
        /// The symbol that was asked for.
        symbol: String,
    },
    /// A symbol name that no object can have.
    #[error("object `{name}` was asked for symbol {symbol:?}; a symbol name has no NUL character")]
    InvalidSymbolName {
        /// The name hint of the object.
        name: String,
        /// The symbol that was asked for.
        symbol: String,
    },
}
