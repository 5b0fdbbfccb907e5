//! Reads the makefile rule that `-MD` writes.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

/// The prerequisites of the first rule, in order, as the compiler spelled them.
///
/// Make's quoting: `$$` is a dollar, `\#` a hash, a backslash before a blank makes the blank part of the name
/// (only then are backslashes right before it doubled), a backslash at the end of a line continues the rule.
pub(crate) fn prerequisites(text: &[u8]) -> Vec<PathBuf> {
    let Some(colon) = text.windows(2).position(|pair| pair[0] == b':' && pair[1].is_ascii_whitespace())
    else {
        return Vec::new();
    };
    let mut names = Vec::new();
    let mut name = Vec::new();
    let mut rest = &text[colon + 1..];
    while let Some((&byte, after)) = rest.split_first() {
        let backslashes = rest.iter().take_while(|&&b| b == b'\\').count();
        let next = rest.get(backslashes).copied();
        rest = match (byte, next) {
            (b'\\', Some(b'#')) => {
                name.resize(name.len() + backslashes - 1, b'\\');
                name.push(b'#');
                &rest[backslashes + 1..]
            }
            (b'\\', Some(b' ' | b'\t')) => {
                name.resize(name.len() + backslashes / 2, b'\\');
                if backslashes % 2 == 1 {
                    name.extend(next);
                    &rest[backslashes + 1..]
                } else {
                    &rest[backslashes..]
                }
            }
            (b'\\', Some(b'\n')) if backslashes == 1 => {
                finish(&mut name, &mut names);
                &rest[2..]
            }
            (b'\\', _) => {
                name.resize(name.len() + backslashes, b'\\');
                &rest[backslashes..]
            }
            (b'$', _) if after.first() == Some(&b'$') => {
                name.push(b'$');
                &after[1..]
            }
            (b'\n', _) => break,
            (b' ' | b'\t' | b'\r', _) => {
                finish(&mut name, &mut names);
                after
            }
            _ => {
                name.push(byte);
                after
            }
        };
    }
    finish(&mut name, &mut names);
    names
}

fn finish(name: &mut Vec<u8>, names: &mut Vec<PathBuf>) {
    if !name.is_empty() {
        names.push(PathBuf::from(OsString::from_vec(std::mem::take(name))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::os::unix::ffi::OsStrExt as _;

    /// What GNU's compilers do, for names without newlines. (Clang spells backslashes as slashes; such names are
    /// not found then, and their results not kept.)
    fn quote(name: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for (at, &byte) in name.iter().enumerate() {
            match byte {
                b'#' => out.push(b'\\'),
                b' ' | b'\t' => {
                    let before = name[..at].iter().rev().take_while(|&&b| b == b'\\').count();
                    out.resize(out.len() + before + 1, b'\\');
                }
                b'$' => out.push(b'$'),
                _ => {}
            }
            out.push(byte);
        }
        out
    }

    #[test]
    fn plain_rule_over_several_lines() {
        let text = b"out: /a/k.cpp /usr/include/x.h \\\n  /a/b.h \\\n /a/c.h\n";
        let names: Vec<_> = ["/a/k.cpp", "/usr/include/x.h", "/a/b.h", "/a/c.h"].map(PathBuf::from).into();
        assert_eq!(prerequisites(text), names);
    }

    #[test]
    fn stops_after_the_first_rule() {
        assert_eq!(prerequisites(b"out: a.cpp\n\na.h:\n"), [PathBuf::from("a.cpp")]);
    }

    #[test]
    fn garbage_has_no_prerequisites() {
        assert!(prerequisites(b"").is_empty());
        assert!(prerequisites(b"no rule here").is_empty());
    }

    proptest! {
        #[test]
        fn quoted_names_come_back(
            names in prop::collection::vec(prop::collection::vec(prop::sample::select(
                b"ab/.:\\ \t#$\xff\xc3\xa4".to_vec()), 1..12), 1..5),
        ) {
            // A name that ends in a backslash cannot be told from a continued line in this format.
            prop_assume!(names.iter().all(|name| name.last() != Some(&b'\\')));
            let mut text = b"out:".to_vec();
            for name in &names {
                text.extend(b" \\\n ");
                text.extend(quote(name));
            }
            text.push(b'\n');
            let read = prerequisites(&text);
            let read: Vec<&[u8]> = read.iter().map(|name| name.as_os_str().as_bytes()).collect();
            prop_assert_eq!(read, names);
        }
    }
}
