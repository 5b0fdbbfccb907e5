//! What is to be run: one case of a scene on one platform.

use chip_worker::{Platform, RuntimeKind};
use scene::Scene;

/// A case on a platform, once.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) scene: &'static Scene,
    pub(crate) platform: Platform,
    pub(crate) case: String,
    /// The scene has no other case on this platform, so that its name says it all.
    only: bool,
    /// Which of several repetitions, from 1; 0 when there is one.
    pub(crate) repetition: u32,
}

/// Which items are wanted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) platforms: Vec<Platform>,
    pub(crate) runtimes: Vec<RuntimeKind>,
    /// All cases if there is none.
    pub(crate) filters: Vec<String>,
    /// Filters are whole names, not parts of names.
    pub(crate) exact: bool,
    pub(crate) repeat: u32,
}

impl Item {
    /// Its name for people and on command lines: scene, case if there are several, platform.
    pub(crate) fn selector(&self) -> String {
        if self.only {
            format!("{}/{}", self.scene.name, self.platform)
        } else {
            format!("{}/{}/{}", self.scene.name, self.case, self.platform)
        }
    }

    /// As [`selector`](Self::selector), with the repetition.
    pub(crate) fn name(&self) -> String {
        match self.repetition {
            0 => self.selector(),
            number => format!("{} #{number}", self.selector()),
        }
    }

    pub(crate) fn matches(&self, filter: &str, exact: bool) -> bool {
        let case = format!("{}/{}", self.scene.name, self.case);
        let full = format!("{case}/{}", self.platform);
        if exact {
            return [self.scene.name, &case, &full, &self.selector()].contains(&filter);
        }
        full.contains(filter) || self.selector().contains(filter)
    }
}

/// All items that are wanted: by platform, then in the order of the scenes, repetitions side by side.
pub(crate) fn select(scenes: &'static [Scene], wanted: &Wanted) -> Vec<Item> {
    let mut items = Vec::new();
    for &platform in &wanted.platforms {
        for scene in scenes {
            if !scene.platforms.contains(&platform) || !wanted.runtimes.contains(&scene.runtime) {
                continue;
            }
            let cases = (scene.cases)(platform);
            for case in &cases {
                let (case, only) = (case.name().to_owned(), cases.len() == 1);
                let item = Item { scene, platform, case, only, repetition: 0 };
                let matches = |filter: &String| item.matches(filter, wanted.exact);
                if !wanted.filters.is_empty() && !wanted.filters.iter().any(matches) {
                    continue;
                }
                match wanted.repeat {
                    0 | 1 => items.push(item),
                    count => items.extend((1..=count).map(|repetition| Item { repetition, ..item.clone() })),
                }
            }
        }
    }
    items
}

/// The scenes of these items, each once per platform, in the order of the items.
pub(crate) fn scenes_of<'a>(items: impl IntoIterator<Item = &'a Item>) -> Vec<(&'static Scene, Platform)> {
    let mut scenes: Vec<(&'static Scene, Platform)> = Vec::new();
    for item in items {
        if !scenes.iter().any(|(scene, on)| scene.name == item.scene.name && *on == item.platform) {
            scenes.push((item.scene, item.platform));
        }
    }
    scenes
}

/// A name that stands for two things: results could not be told apart.
pub(crate) fn duplicate_name(scenes: &[Scene]) -> Option<String> {
    for (index, scene) in scenes.iter().enumerate() {
        if scenes[..index].iter().any(|other| other.name == scene.name) {
            return Some(scene.name.to_owned());
        }
        for &platform in scene.platforms {
            let cases = (scene.cases)(platform);
            for (index, case) in cases.iter().enumerate() {
                if cases[..index].iter().any(|other| other.name() == case.name()) {
                    return Some(format!("{}/{}", scene.name, case.name()));
                }
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use scene::{Case, Program};

    use super::*;

    const ONE: Scene = Scene {
        name: "one",
        summary: "",
        folder: "/",
        include_dirs: &[],
        runtime: RuntimeKind::HostBuildGraph,
        platforms: &[Platform::A2a3Sim, Platform::A5Sim],
        programs: &[] as &[Program],
        cases: |_| vec![Case::new("c", |_| Ok(()))],
    };
    static SCENES: [Scene; 3] = [
        ONE,
        Scene {
            name: "two",
            cases: |platform| {
                let mut cases = vec![Case::new("c", |_| Ok(())), Case::new("cd", |_| Ok(()))];
                cases.truncate(if platform == Platform::A5Sim { 1 } else { 2 });
                cases
            },
            ..ONE
        },
        Scene {
            name: "rings",
            runtime: RuntimeKind::TensormapAndRingbuffer,
            platforms: &[Platform::A5Sim],
            ..ONE
        },
    ];

    fn names(wanted: &Wanted) -> Vec<String> {
        select(&SCENES, wanted).iter().map(Item::name).collect()
    }

    fn all() -> Wanted {
        let (platforms, runtimes) = (Platform::SIMULATED.to_vec(), RuntimeKind::ALL.to_vec());
        Wanted { platforms, runtimes, ..Wanted::default() }
    }

    #[test]
    fn names_tell_the_case_where_there_are_several() {
        let expected =
            ["one/a2a3sim", "two/c/a2a3sim", "two/cd/a2a3sim", "one/a5sim", "two/a5sim", "rings/a5sim"];
        assert_eq!(names(&all()), expected);
        assert_eq!(scenes_of(&select(&SCENES, &all())).len(), 5);
    }

    #[test]
    fn filters_are_parts_of_names_or_whole_ones() {
        let with = |filter: &str, exact| names(&Wanted { filters: vec![filter.to_owned()], exact, ..all() });
        assert_eq!(with("two/c", false), ["two/c/a2a3sim", "two/cd/a2a3sim", "two/a5sim"]);
        assert_eq!(with("two/c", true), ["two/c/a2a3sim", "two/a5sim"]);
        assert_eq!(with("two/a5sim", true), ["two/a5sim"]);
        assert_eq!(with("two/c/a5sim", true), ["two/a5sim"]);
        assert_eq!(with("two", true).len(), 3);
        assert_eq!(with("tw", true).len(), 0);
        assert_eq!(with("a5sim", false).len(), 3);
    }

    #[test]
    fn platform_runtime_and_repetitions() {
        let rings = Wanted { runtimes: vec![RuntimeKind::TensormapAndRingbuffer], ..all() };
        assert_eq!(names(&Wanted { repeat: 2, ..rings }), ["rings/a5sim #1", "rings/a5sim #2"]);
        assert_eq!(names(&Wanted { platforms: vec![Platform::A5Sim], ..all() }).len(), 3);
    }

    #[test]
    fn names_that_stand_for_two_things_are_found() {
        assert_eq!(duplicate_name(&SCENES), None);
        assert_eq!(duplicate_name(&[ONE, ONE]).as_deref(), Some("one"));
        let cases = |_| vec![Case::new("c", |_| Ok(())), Case::new("c", |_| Ok(()))];
        assert_eq!(duplicate_name(&[Scene { cases, ..ONE }]).as_deref(), Some("one/c"));
    }
}
