//! Lists threaded through a slab, so that an entry leaves any list it is in without a search or an allocation.

/// No element.
pub(super) const NONE: usize = usize::MAX;

/// The neighbours of an element in one list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    prev: usize,
    next: usize,
}

impl Link {
    /// In no list.
    pub(super) const NONE: Self = Self { prev: NONE, next: NONE };

    /// The element after this one, or [`NONE`].
    pub(super) const fn next(self) -> usize {
        self.next
    }
}

/// What the elements of a slab must offer: one link for each list they can be in at a time.
pub(super) trait Linked {
    /// The link of list kind `kind`.
    fn link(&mut self, kind: usize) -> &mut Link;
}

/// First and last element of a list.
#[derive(Clone, Copy, Debug)]
pub(super) struct List {
    first: usize,
    last: usize,
}

impl List {
    /// A list without elements.
    pub(super) const EMPTY: Self = Self { first: NONE, last: NONE };

    /// The first element, or [`NONE`].
    pub(super) const fn first(self) -> usize {
        self.first
    }

    /// The last element, or [`NONE`].
    pub(super) const fn last(self) -> usize {
        self.last
    }

    /// Appends `index`, which is in no list of this kind.
    pub(super) fn push_back<T: Linked>(&mut self, slab: &mut [T], kind: usize, index: usize) {
        *slab[index].link(kind) = Link { prev: self.last, next: NONE };
        match self.last {
            NONE => self.first = index,
            last => slab[last].link(kind).next = index,
        }
        self.last = index;
    }

    /// Takes out `index`, which is in this list.
    pub(super) fn unlink<T: Linked>(&mut self, slab: &mut [T], kind: usize, index: usize) {
        let Link { prev, next } = std::mem::replace(slab[index].link(kind), Link::NONE);
        match prev {
            NONE => self.first = next,
            prev => slab[prev].link(kind).next = next,
        }
        match next {
            NONE => self.last = prev,
            next => slab[next].link(kind).prev = prev,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Linked for Link {
        fn link(&mut self, _kind: usize) -> &mut Link {
            self
        }
    }

    fn indices(list: List, slab: &[Link]) -> Vec<usize> {
        let next = |&index: &usize| Some(slab[index].next()).filter(|&next| next != NONE);
        std::iter::successors(Some(list.first()).filter(|&first| first != NONE), next).collect()
    }

    #[test]
    fn elements_leave_from_any_place() {
        for removed in 0..3 {
            let (mut slab, mut list) = ([Link::NONE; 4], List::EMPTY);
            (0..3).for_each(|index| list.push_back(&mut slab, 0, index));
            list.unlink(&mut slab, 0, removed);
            let mut expected: Vec<usize> = (0..3).filter(|&index| index != removed).collect();
            assert_eq!(indices(list, &slab), expected);
            list.push_back(&mut slab, 0, 3);
            expected.push(3);
            assert_eq!(indices(list, &slab), expected);
        }
    }

    #[test]
    fn a_list_can_become_empty_and_fill_again() {
        let (mut slab, mut list) = ([Link::NONE; 2], List::EMPTY);
        list.push_back(&mut slab, 0, 1);
        list.unlink(&mut slab, 0, 1);
        assert!(indices(list, &slab).is_empty());
        list.push_back(&mut slab, 0, 0);
        assert_eq!(indices(list, &slab), [0]);
    }
}
