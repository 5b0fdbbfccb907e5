//! Looks for bfloat16 in preprocessed C++, outside the files that mention it whatever the kernel does.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// What preprocessed text says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Findings {
    /// Whether a file of PTO-ISA was included.
    pub uses_pto_isa: bool,
    /// The first mention, as `file:line: identifier`.
    pub mention: Option<String>,
}

/// Scans the output of `-E` for `source`. Lines from system headers, from PTO-ISA and from files below `own`
/// do not count.
pub(crate) fn scan(preprocessed: &[u8], source: &Path, own: &Path) -> Findings {
    let mut origins = Origins { own: real(own), seen: HashMap::new() };
    origins.seen.insert(source.to_owned(), Origin::Kernel);
    let mut findings = Findings { uses_pto_isa: false, mention: None };
    let (mut file, mut origin, mut line) = (PathBuf::new(), Origin::Kernel, 0_u64);
    for text in preprocessed.split(|&byte| byte == b'\n') {
        if let Some(marker) = Marker::parse(text) {
            origin = if marker.system { Origin::System } else { origins.of(&marker.file) };
            findings.uses_pto_isa |= origin == Origin::PtoIsa;
            (file, line) = (marker.file, marker.line);
            continue;
        }
        if origin == Origin::Kernel && findings.mention.is_none() {
            let name = identifiers(text).find(|name| names_bfloat16(name));
            findings.mention =
                name.map(|name| format!("{}:{line}: {}", file.display(), String::from_utf8_lossy(name)));
        }
        line = line.saturating_add(1);
    }
    findings
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Kernel,
    PtoIsa,
    Own,
    System,
}

struct Origins {
    own: PathBuf,
    seen: HashMap<PathBuf, Origin>,
}

impl Origins {
    fn of(&mut self, file: &Path) -> Origin {
        if let Some(&origin) = self.seen.get(file) {
            return origin;
        }
        let path = real(file);
        let origin = if path.starts_with(&self.own) {
            Origin::Own
        } else if in_pto_isa(&path) {
            Origin::PtoIsa
        } else {
            Origin::Kernel
        };
        self.seen.insert(file.to_owned(), origin);
        origin
    }
}

/// Whether a file lies in a folder `pto` that holds PTO-ISA's main header, however that folder was given.
fn in_pto_isa(file: &Path) -> bool {
    let holds = |folder: &Path| folder.ends_with("pto") && folder.join("pto-inst.hpp").is_file();
    file.ancestors().skip(1).any(holds)
}

/// The path without symbolic links, so that no spelling of a folder hides it.
fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// A line `# 12 "file" 1 3`: what follows is line 12 of `file`; 3 among the numbers means a system header.
struct Marker {
    line: u64,
    file: PathBuf,
    system: bool,
}

impl Marker {
    fn parse(text: &[u8]) -> Option<Marker> {
        let rest = text.strip_prefix(b"# ")?;
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let line = std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()?;
        let rest = rest[digits..].strip_prefix(b" \"")?;
        let (file, flags) = unquote(rest)?;
        let system = flags.split(|&byte| byte == b' ').any(|flag| flag == b"3");
        Some(Marker { line, file: PathBuf::from(OsStr::from_bytes(&file)), system })
    }
}

/// Reads a C string up to its closing quote; returns what follows as well.
fn unquote(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut out = Vec::new();
    let mut rest = text;
    loop {
        let (&byte, after) = rest.split_first()?;
        rest = after;
        match byte {
            b'"' => return Some((out, rest)),
            b'\\' => {
                let octal = rest.iter().take(3).take_while(|b| matches!(b, b'0'..=b'7')).count();
                if octal == 0 {
                    let (&escaped, after) = rest.split_first()?;
                    out.push(escaped);
                    rest = after;
                } else {
                    let digits = std::str::from_utf8(&rest[..octal]).ok()?;
                    out.push(u8::from_str_radix(digits, 8).ok()?);
                    rest = &rest[octal..];
                }
            }
            _ => out.push(byte),
        }
    }
}

/// Words of letters, digits and underscores that are no numbers, also inside string literals.
fn identifiers(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_')
        .filter(|word| word.first().is_some_and(|byte| !byte.is_ascii_digit()))
}

fn names_bfloat16(name: &[u8]) -> bool {
    let name = name.to_ascii_lowercase();
    [&b"bfloat16"[..], b"bf16"].iter().any(|part| name.windows(part.len()).any(|window| window == *part))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(text: &str) -> Findings {
        scan(text.as_bytes(), Path::new("/k/k.cpp"), Path::new("/own"))
    }

    #[test]
    fn only_the_kernels_own_lines_count() {
        let dir = tempfile::tempdir().unwrap();
        let pto = dir.path().join("include/pto");
        std::fs::create_dir_all(pto.join("common")).unwrap();
        std::fs::write(pto.join("pto-inst.hpp"), "").unwrap();
        let text = format!(
            "# 1 \"/k/k.cpp\"\n\
             # 1 \"/usr/include/c++/12/limits\" 1 3\n__bf16 a;\n\
             # 1 \"{}/common/type.hpp\" 1\nbfloat16_t b;\n\
             # 1 \"/own/task_interface/data_type.h\" 1\nBFLOAT16 = 6,\n\
             # 7 \"/k/k.cpp\" 2\nint x = 0xabf16;\n\n",
            pto.display()
        );
        assert_eq!(findings(&text), Findings { uses_pto_isa: true, mention: None });
        let text = format!("{text}Tile<bfloat16_t> t;\nbf16 u;\n");
        let mention = findings(&text).mention;
        assert_eq!(mention.as_deref(), Some("/k/k.cpp:9: bfloat16_t"));
    }

    #[test]
    fn spellings() {
        for name in ["bfloat16_t", "BF16", "__bf16", "kBf16Tile", "float_bfloat16x2"] {
            assert!(findings(&format!("# 1 \"/k.cpp\"\n{name} x;\n")).mention.is_some(), "{name}");
        }
        for text in ["float16_t x;", "0x1BF16", "bf_16", "half h;"] {
            assert!(findings(&format!("# 1 \"/k.cpp\"\n{text}\n")).mention.is_none(), "{text}");
        }
    }

    #[test]
    fn without_pto_isa() {
        assert!(!findings("# 1 \"/k.cpp\"\nfloat x;\n").uses_pto_isa);
    }

    #[test]
    fn file_names_are_unquoted() {
        let marker = Marker::parse(br#"# 3 "/a \"b\"\\c\303\244" 1 3 4"#).unwrap();
        assert_eq!(marker.file, Path::new("/a \"b\"\\cä"));
        assert!(marker.system);
        assert_eq!(marker.line, 3);
        for text in ["#pragma once", "# 3", "# x \"a\"", "# 3 \"open", "# 3 \"open\\", "# 3 \"\\777\""] {
            assert!(Marker::parse(text.as_bytes()).is_none(), "{text}");
        }
    }

    #[test]
    fn a_link_into_pto_isa_is_pto_isa_and_the_source_never_is() {
        let dir = tempfile::tempdir().unwrap();
        let (pto, link) = (dir.path().join("pto"), dir.path().join("link"));
        std::fs::create_dir(&pto).unwrap();
        std::fs::write(pto.join("pto-inst.hpp"), "").unwrap();
        std::os::unix::fs::symlink(&pto, &link).unwrap();
        let included = link.join("pto-inst.hpp");
        let text = format!("# 1 \"{}\" 1\nbfloat16_t x;\n", included.display());
        let found = scan(text.as_bytes(), Path::new("/k/k.cpp"), Path::new("/own"));
        assert_eq!(found, Findings { uses_pto_isa: true, mention: None });
        let found = scan(text.as_bytes(), &included, Path::new("/own"));
        assert!(found.mention.is_some());
    }
}
