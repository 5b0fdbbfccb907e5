//! Failures on demand.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::codes;
use crate::sync::lock;

/// Something that goes wrong, where and how often. Made by the functions below or from text.
///
/// ```
/// use soft_cann::Rule;
///
/// let third = Rule::fail("rtMalloc").nth(3).code(207001);
/// assert_eq!("fn=rtMalloc:nth=3:rc=207001".parse::<Rule>(), Ok(third));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    pub(crate) effect: Effect,
    pub(crate) when: When,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// The call does nothing but return the code; without one, the one that is usual for it.
    Fail { function: String, code: Option<i32> },
    /// From this call on the device is gone.
    Lose { function: String },
    /// An AICPU function returns a value without having run; on one of its blocks or on all.
    AicpuReturn { function: String, block: Option<u32>, value: i32 },
    /// An AICPU function never returns.
    AicpuHang { function: String },
    /// The cores of an AICore launch never answer; one physical core or all.
    AicoreHang { core: Option<u32> },
    /// A task ends this much later.
    Late(Duration),
    /// The file of an AICPU program is cut short when it is loaded.
    CorruptObject,
    /// After an AICPU exception allocations and new streams fail until the device is reset.
    Cascade,
    /// `aclrtDevicePeerAccessStatus` never says that access is enabled.
    PeerNever,
    /// Calls of HCCL leave the calling thread in another context.
    HcclSwitch,
    /// Capacity of the device in bytes.
    MemoryLimit(u64),
    /// The cores that the chip has.
    CoreBitmap(u64),
}

/// Which of the matching events a rule is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    Always,
    Nth(u64),
    Every(u64),
    First(u64),
}

impl When {
    /// Whether the `count`th event, from 1, is one.
    fn holds(self, count: u64) -> bool {
        match self {
            Self::Always => true,
            Self::Nth(nth) => count == nth,
            Self::Every(every) => every != 0 && count.is_multiple_of(every),
            Self::First(first) => count <= first,
        }
    }
}

impl Rule {
    fn new(effect: Effect) -> Self {
        Self { effect, when: When::Always }
    }

    /// A function fails without having done anything, with a code that is usual for it or that of
    /// [`Rule::code`].
    #[must_use]
    pub fn fail(function: &str) -> Self {
        Self::new(Effect::Fail { function: function.to_owned(), code: None })
    }

    /// The device is lost at a call of this function: this and all later calls on it fail with 507901,
    /// running tasks with 507010.
    #[must_use]
    pub fn lose_at(function: &str) -> Self {
        Self::new(Effect::Lose { function: function.to_owned() })
    }

    /// An AICPU function returns a value instead of running. The events are launches.
    #[must_use]
    pub fn aicpu_return(function: &str, value: i32) -> Self {
        Self::new(Effect::AicpuReturn { function: function.to_owned(), block: None, value })
    }

    /// An AICPU function never returns, until the device is reset. The events are launches.
    #[must_use]
    pub fn aicpu_hang(function: &str) -> Self {
        Self::new(Effect::AicpuHang { function: function.to_owned() })
    }

    /// The kernels of an AICore launch never begin, until the op timeout ends the launch. The events are
    /// launches.
    #[must_use]
    pub fn aicore_hang() -> Self {
        Self::new(Effect::AicoreHang { core: None })
    }

    /// A task ends later than it would. The events are tasks.
    #[must_use]
    pub fn late(by: Duration) -> Self {
        Self::new(Effect::Late(by))
    }

    /// The file of an AICPU program is cut short when the device loads it.
    #[must_use]
    pub fn corrupt_object() -> Self {
        Self::new(Effect::CorruptObject)
    }

    /// After an AICPU exception (507018) allocations and new streams fail with 507899 until the device is
    /// reset.
    #[must_use]
    pub fn cascade() -> Self {
        Self::new(Effect::Cascade)
    }

    /// Access between devices is never enabled.
    #[must_use]
    pub fn peer_never() -> Self {
        Self::new(Effect::PeerNever)
    }

    /// `HcclCommInitRootInfo` and `HcclBarrier` leave the calling thread in another context, so that it has
    /// to attach itself again.
    #[must_use]
    pub fn hccl_switch() -> Self {
        Self::new(Effect::HcclSwitch)
    }

    /// The device has this many bytes.
    #[must_use]
    pub fn memory_limit(bytes: u64) -> Self {
        Self::new(Effect::MemoryLimit(bytes))
    }

    /// The chip has these cores: bit i for physical core i.
    #[must_use]
    pub fn core_bitmap(bitmap: u64) -> Self {
        Self::new(Effect::CoreBitmap(bitmap))
    }

    /// `halMemCtl` is busy (13) this many times.
    #[must_use]
    pub fn busy(times: u64) -> Self {
        Self::fail("halMemCtl").code(13).first(times)
    }

    /// Only the `nth` matching event, from 1 and counted from when the rule was injected.
    #[must_use]
    pub fn nth(mut self, nth: u64) -> Self {
        self.when = When::Nth(nth);
        self
    }

    /// Only every `every`th matching event.
    #[must_use]
    pub fn every(mut self, every: u64) -> Self {
        self.when = When::Every(every);
        self
    }

    /// Only the first `times` matching events.
    #[must_use]
    pub fn first(mut self, times: u64) -> Self {
        self.when = When::First(times);
        self
    }

    /// What a failing call returns.
    #[must_use]
    pub fn code(mut self, returned: i32) -> Self {
        if let Effect::Fail { code, .. } = &mut self.effect {
            *code = Some(returned);
        }
        self
    }

    /// Only this block of an AICPU function.
    #[must_use]
    pub fn block(mut self, only: u32) -> Self {
        if let Effect::AicpuReturn { block, .. } = &mut self.effect {
            *block = Some(only);
        }
        self
    }

    /// Only this physical core.
    #[must_use]
    pub fn core(mut self, only: u32) -> Self {
        if let Effect::AicoreHang { core } = &mut self.effect {
            *core = Some(only);
        }
        self
    }
}

/// A rule in force; says how often it made something go wrong.
#[derive(Clone, Debug)]
pub struct Injected {
    fired: Arc<AtomicU64>,
}

impl Injected {
    /// How often the rule has taken effect.
    #[must_use]
    pub fn fired(&self) -> u64 {
        self.fired.load(Ordering::SeqCst)
    }
}

/// The rules of one device.
#[derive(Debug, Default)]
pub(crate) struct Rules(Mutex<Vec<Active>>);

#[derive(Debug)]
struct Active {
    rule: Rule,
    events: u64,
    fired: Arc<AtomicU64>,
}

/// What a rule says about a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Fail(Option<i32>),
    Lose,
}

impl Rules {
    pub(crate) fn add(&self, rule: Rule) -> Injected {
        let fired = Arc::new(AtomicU64::new(0));
        lock(&self.0).push(Active { rule, events: 0, fired: Arc::clone(&fired) });
        Injected { fired }
    }

    pub(crate) fn clear(&self) {
        lock(&self.0).clear();
    }

    /// How many were injected.
    pub(crate) fn count(&self) -> usize {
        lock(&self.0).len()
    }

    /// How often the rule with this number, in the order of injection, has taken effect.
    pub(crate) fn fired(&self, index: usize) -> Option<u64> {
        lock(&self.0).get(index).map(|active| active.fired.load(Ordering::SeqCst))
    }

    /// Counts an event with all rules that match it; the first that takes effect decides. `matches` picks the
    /// rules and says what they mean.
    pub(crate) fn on_event<T>(&self, matches: impl Fn(&Effect) -> Option<T>) -> Option<T> {
        let mut decided = None;
        for active in lock(&self.0).iter_mut() {
            let Some(meaning) = matches(&active.rule.effect) else { continue };
            active.events += 1;
            if active.rule.when.holds(active.events) && decided.is_none() {
                active.fired.fetch_add(1, Ordering::SeqCst);
                decided = Some(meaning);
            }
        }
        decided
    }

    pub(crate) fn on_call(&self, name: &str) -> Option<Verdict> {
        self.on_event(|effect| match effect {
            Effect::Fail { function, code } if function == name => Some(Verdict::Fail(*code)),
            Effect::Lose { function } if function == name => Some(Verdict::Lose),
            _ => None,
        })
    }
}

/// A rule's text that is not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleError(String);

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is no rule; the forms are listed at soft_cann::Rule::from_str", self.0)
    }
}

impl std::error::Error for RuleError {}

impl std::str::FromStr for Rule {
    type Err = RuleError;

    /// Reads fields `key=value` or `key`, separated by colons:
    ///
    /// `fn=F[:rc=N]`, `lose=F`, `aicpu=F:return=N[:block=B]`, `aicpu=F:hang`, `aicore:hang[:core=C]`,
    /// `late=MS`, `corrupt-object`, `cascade`, `peer-never`, `hccl-switch`, `memory=BYTES`, `bitmap=HEX`,
    /// `busy=N`, each with `nth=N`, `every=N` or `first=N` if it is not for every event.
    fn from_str(text: &str) -> Result<Self, RuleError> {
        parse(text).ok_or_else(|| RuleError(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<Rule> {
    let mut fields = HashMap::new();
    for field in text.trim().split(':') {
        let (key, value) = field.split_once('=').unwrap_or((field, ""));
        if fields.insert(key, value).is_some() {
            return None;
        }
    }
    let number = |text: &str| text.parse::<u64>().ok();
    let mut rule = head(&mut fields)?;
    for (key, set) in
        [("nth", Rule::nth as fn(Rule, u64) -> Rule), ("every", Rule::every), ("first", Rule::first)]
    {
        if let Some(value) = fields.remove(key) {
            rule = set(rule, number(value)?);
        }
    }
    fields.is_empty().then_some(rule)
}

fn head(fields: &mut HashMap<&str, &str>) -> Option<Rule> {
    if ["fn", "aicpu", "lose"].iter().any(|key| fields.get(key) == Some(&"")) {
        return None;
    }
    if let Some(function) = fields.remove("fn") {
        let rule = Rule::fail(function);
        return match fields.remove("rc") {
            Some(code) => Some(rule.code(code.parse().ok()?)),
            None => Some(rule),
        };
    }
    if let Some(function) = fields.remove("aicpu") {
        if fields.remove("hang").is_some() {
            return Some(Rule::aicpu_hang(function));
        }
        let rule = Rule::aicpu_return(function, fields.remove("return")?.parse().ok()?);
        return match fields.remove("block") {
            Some(block) => Some(rule.block(block.parse().ok()?)),
            None => Some(rule),
        };
    }
    if fields.remove("aicore").is_some() {
        fields.remove("hang")?;
        return match fields.remove("core") {
            Some(core) => Some(Rule::aicore_hang().core(core.parse().ok()?)),
            None => Some(Rule::aicore_hang()),
        };
    }
    let flags = [
        ("corrupt-object", Rule::corrupt_object as fn() -> Rule),
        ("cascade", Rule::cascade),
        ("peer-never", Rule::peer_never),
        ("hccl-switch", Rule::hccl_switch),
    ];
    if let Some((key, rule)) = flags.iter().find(|(key, _)| fields.contains_key(key)) {
        return fields.remove(key).filter(|value| value.is_empty()).map(|_| rule());
    }
    let (key, value) = ["lose", "late", "memory", "bitmap", "busy"]
        .iter()
        .find_map(|key| fields.remove(key).map(|value| (*key, value)))?;
    match key {
        "lose" => Some(Rule::lose_at(value)),
        "late" => Some(Rule::late(Duration::from_millis(value.parse().ok()?))),
        "memory" => Some(Rule::memory_limit(value.parse().ok()?)),
        "bitmap" => u64::from_str_radix(value.trim_start_matches("0x"), 16).ok().map(Rule::core_bitmap),
        _ => Some(Rule::busy(value.parse().ok()?)),
    }
}

/// What a function returns when it is told to fail and not with which code.
pub(crate) fn usual_code(function: &str) -> i32 {
    match function {
        "rtMalloc" | "aclrtMalloc" => codes::MEMORY_ALLOCATION,
        name if name.starts_with("Hccl") => codes::HCCL_RUNTIME,
        name if name.starts_with("hal") => codes::DRV_INNER_ERR,
        "dlog_setlevel" => -1,
        _ => codes::DRV_INTERNAL_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_forms_of_text() {
        for (text, rule) in [
            ("fn=rtFree", Rule::fail("rtFree")),
            ("fn=rtFree:rc=-1:every=2", Rule::fail("rtFree").code(-1).every(2)),
            ("lose=rtMemcpy:nth=4", Rule::lose_at("rtMemcpy").nth(4)),
            ("aicpu=f:return=7", Rule::aicpu_return("f", 7)),
            ("aicpu=f:return=7:block=2:first=1", Rule::aicpu_return("f", 7).block(2).first(1)),
            ("aicpu=f:hang", Rule::aicpu_hang("f")),
            ("aicore:hang", Rule::aicore_hang()),
            ("aicore:hang:core=3", Rule::aicore_hang().core(3)),
            ("late=20", Rule::late(Duration::from_millis(20))),
            ("corrupt-object", Rule::corrupt_object()),
            ("cascade", Rule::cascade()),
            ("peer-never", Rule::peer_never()),
            ("hccl-switch", Rule::hccl_switch()),
            ("memory=4096", Rule::memory_limit(4096)),
            ("bitmap=0xff", Rule::core_bitmap(0xFF)),
            (" busy=2 ", Rule::busy(2)),
        ] {
            assert_eq!(text.parse(), Ok(rule), "{text}");
        }
    }

    #[test]
    fn other_text_is_no_rule() {
        for text in [
            "",
            "fn",
            "fn=rtFree:rc=x",
            "fn=rtFree:nth=x",
            "fn=rtFree:fn=rtFree",
            "fn=rtFree:other=1",
            "aicpu=f",
            "aicpu=f:return=x",
            "aicore",
            "cascade=1",
            "late=x",
            "bitmap=xyz",
            "nth=1",
        ] {
            let error = text.parse::<Rule>().expect_err(text);
            assert!(error.to_string().contains(&format!("`{text}`")), "{error}");
        }
    }

    #[test]
    fn the_first_rule_that_takes_effect_decides_and_all_count() {
        let rules = Rules::default();
        let second = rules.add(Rule::fail("f").nth(2).code(2));
        let always = rules.add(Rule::fail("f").code(1));
        let lose = rules.add(Rule::lose_at("f").nth(2));
        let verdicts: Vec<_> = (0..3).map(|_| rules.on_call("f")).collect();
        assert_eq!(verdicts, [1, 2, 1].map(|code| Some(Verdict::Fail(Some(code)))));
        assert_eq!(rules.on_call("g"), None);
        assert_eq!((second.fired(), always.fired(), lose.fired(), rules.fired(1)), (1, 2, 0, Some(2)));
    }
}
