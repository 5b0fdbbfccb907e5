//! The JSON files that name the functions of AICPU programs (spec/hal.md, section 4.2).

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

/// A function, and the file that it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Op {
    pub(crate) function: String,
    pub(crate) object: String,
}

const LIBRARIES: [&str; 5] = ["AICPUKernel", "CUSTAICPUKernel", "TFKernel", "KFCKernel", "CUSTKFCKernel"];

/// Reads `<path without extension>.json`; the error says what is wrong with it.
pub(crate) fn read(path: &Path) -> Result<BTreeMap<String, Op>, String> {
    let path = path.with_extension("json");
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    parse(&text).map_err(|error| format!("{}: {error}", path.display()))
}

fn parse(text: &str) -> Result<BTreeMap<String, Op>, String> {
    let Value::Object(ops) = serde_json::from_str(text).map_err(|error| error.to_string())? else {
        return Err("not an object of operators".to_owned());
    };
    ops.iter().map(|(name, op)| Ok((name.clone(), read_op(name, op)?))).collect()
}

fn read_op(name: &str, op: &Value) -> Result<Op, String> {
    let field = |field: &str| {
        let value = op.get("opInfo").and_then(|info| info.get(field)).and_then(Value::as_str);
        value
            .map(str::to_owned)
            .ok_or_else(|| format!("operator `{name}` has no text `{field}` in its opInfo"))
    };
    let library = field("opKernelLib")?;
    if !LIBRARIES.contains(&library.as_str()) {
        return Err(format!("operator `{name}` has the unknown opKernelLib `{library}`"));
    }
    Ok(Op { function: field("functionName")?, object: field("kernelSo")? })
}

impl Op {
    /// Whether the device takes these names.
    pub(crate) fn is_acceptable(&self) -> bool {
        let usual = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let object = !self.object.is_empty() && self.object.len() <= 100 && self.object.bytes().all(usual);
        object && !self.function.is_empty() && self.function.len() <= 200
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn op(object: &str, function: &str) -> Op {
        Op { function: function.to_owned(), object: object.to_owned() }
    }

    #[test]
    fn a_file_as_hosts_write_it() {
        let text = r#"{"x_1": {"opInfo": {"functionName": "x", "kernelSo": "a_0.so",
            "opKernelLib": "AICPUKernel", "computeCost": "100", "userDefined": "False"}}}"#;
        assert_eq!(parse(text), Ok(BTreeMap::from([("x_1".to_owned(), op("a_0.so", "x"))])));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, part) in [
            ("", "EOF"),
            ("[]", "not an object"),
            (r#"{"x": {}}"#, "opKernelLib"),
            (r#"{"x": {"opInfo": {"opKernelLib": "Other"}}}"#, "Other"),
            (r#"{"x": {"opInfo": {"opKernelLib": "KFCKernel"}}}"#, "functionName"),
            (r#"{"x": {"opInfo": {"opKernelLib": "KFCKernel", "functionName": "f"}}}"#, "kernelSo"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
        let missing = read(Path::new("/nonexistent/ops.o")).expect_err("no file");
        assert!(missing.contains("/nonexistent/ops.json"), "{missing}");
    }

    #[test]
    fn names_have_limits() {
        assert!(op("a-b_c.1.so", "f").is_acceptable());
        assert!(op(&"a".repeat(100), &"f".repeat(200)).is_acceptable());
        for (object, function) in [("", "f"), ("a", ""), ("../a.so", "f"), ("a b", "f")] {
            assert!(!op(object, function).is_acceptable(), "{object} {function}");
        }
        assert!(!op(&"a".repeat(101), "f").is_acceptable() && !op("a", &"f".repeat(201)).is_acceptable());
    }
}
