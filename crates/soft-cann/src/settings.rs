//! What the environment says.

use std::path::PathBuf;
use std::str::FromStr;

use crate::chip::Chip;
use crate::rule::Rule;

/// Settings of the whole process, read once.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) devices: u16,
    pub(crate) chip: Chip,
    /// Bytes of each device.
    pub(crate) memory: u64,
    pub(crate) time_scale: u32,
    /// Rules from the start, each for one device or for all.
    pub(crate) rules: Vec<(Option<i32>, Rule)>,
    /// Where the report of the whole process goes when it ends.
    pub(crate) report: Option<PathBuf>,
    /// What of the environment was not understood.
    pub(crate) complaints: Vec<String>,
}

impl Settings {
    pub(crate) fn from_environment() -> Self {
        Self::read(|name| std::env::var(name).ok())
    }

    fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        let mut complaints = Vec::new();
        let devices = number(&variable, "SOFT_CANN_DEVICES", 64, &mut complaints);
        let memory = number(&variable, "SOFT_CANN_MEMORY", 32 << 30, &mut complaints);
        let time_scale = number(&variable, "SOFT_CANN_TIME_SCALE", 10, &mut complaints);
        let chip = match variable("SOFT_CANN_CHIP").as_deref() {
            None | Some("a2a3") => Chip::A2a3,
            Some("a5") => Chip::A5,
            Some(other) => {
                complaints.push(format!("SOFT_CANN_CHIP is `{other}`; chips are a2a3 and a5"));
                Chip::default()
            }
        };
        let mut rules = Vec::new();
        for text in variable("SOFT_CANN_INJECT").iter().flat_map(|all| all.split(';')) {
            match rule(text) {
                Ok(rule) => rules.push(rule),
                Err(error) => complaints.push(format!("SOFT_CANN_INJECT: {error}")),
            }
        }
        let report = variable("SOFT_CANN_REPORT").map(PathBuf::from);
        Self { devices, chip, memory, time_scale, rules, report, complaints }
    }
}

fn number<T: FromStr>(
    variable: &impl Fn(&str) -> Option<String>,
    name: &str,
    usual: T,
    complaints: &mut Vec<String>,
) -> T {
    let Some(text) = variable(name) else { return usual };
    text.parse().unwrap_or_else(|_| {
        complaints.push(format!("{name} is `{text}`, which is no number in its range"));
        usual
    })
}

/// A rule with an optional field `dev=D`.
fn rule(text: &str) -> Result<(Option<i32>, Rule), crate::RuleError> {
    let is_device = |field: &&str| field.starts_with("dev=");
    let device = text.split(':').find(is_device).and_then(|field| field["dev=".len()..].parse().ok());
    let rest: Vec<&str> = text.split(':').filter(|field| device.is_none() || !is_device(field)).collect();
    Ok((device, rest.join(":").parse()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Settings {
        Settings::read(|name| {
            pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn nothing_set_is_fine() {
        let settings = read(&[]);
        assert_eq!((settings.devices, settings.chip, settings.time_scale), (64, Chip::A2a3, 10));
        assert!(settings.rules.is_empty() && settings.complaints.is_empty());
    }

    #[test]
    fn rules_are_for_one_device_or_all() {
        let settings = read(&[("SOFT_CANN_INJECT", "fn=rtMalloc:dev=2:nth=3:rc=207001;cascade")]);
        let third = Rule::fail("rtMalloc").nth(3).code(207_001);
        assert_eq!(settings.rules, [(Some(2), third), (None, Rule::cascade())]);
        assert_eq!(settings.complaints, Vec::<String>::new());
    }

    #[test]
    fn what_is_not_understood_is_said() {
        let settings = read(&[
            ("SOFT_CANN_DEVICES", "many"),
            ("SOFT_CANN_CHIP", "a1"),
            ("SOFT_CANN_INJECT", "fn=rtMalloc:dev=x"),
        ]);
        assert_eq!(settings.complaints.len(), 3, "{:?}", settings.complaints);
    }
}
