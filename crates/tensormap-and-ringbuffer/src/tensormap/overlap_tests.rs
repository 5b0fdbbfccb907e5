//! The overlap rule, case by case and against sets of elements.

use std::collections::BTreeSet;

use proptest::prelude::*;
use task_interface::DataType;
use task_interface::trb::OverlapStatus::{self, Covered, NoOverlap, Other};
use task_interface::trb::Tensor;

use super::overlap::overlap;
use super::region::{MAX_DIMS, Region};

fn padded(values: &[u32]) -> [u32; MAX_DIMS] {
    std::array::from_fn(|dim| values.get(dim).copied().unwrap_or(0))
}

fn row_major(shapes: &[u32]) -> Vec<u32> {
    (0..shapes.len()).map(|dim| shapes[dim + 1..].iter().product()).collect()
}

/// A view of an INT8 buffer of `storage` elements.
fn view(storage: u64, start_offset: u64, shapes: &[u32], strides: &[u32]) -> Tensor {
    Tensor {
        buffer_size: storage,
        start_offset,
        is_contiguous: (strides == row_major(shapes)).into(),
        ndims: u32::try_from(shapes.len()).unwrap(),
        shapes: padded(shapes),
        strides: padded(strides),
        ..Tensor::contiguous(0x1000, 1, &[1], DataType::Int8).unwrap()
    }
}

/// A box of a tensor of shape `grid`.
fn boxed(grid: &[u32], at: &[u32], shapes: &[u32]) -> Tensor {
    let strides = row_major(grid);
    let start = at.iter().zip(&strides).map(|(&at, &stride)| u64::from(at * stride)).sum();
    view(grid.iter().map(|&length| u64::from(length)).product(), start, shapes, &strides)
}

fn status(probe: &Tensor, entry: &Tensor) -> OverlapStatus {
    overlap(&Region::new(probe), &Region::new(entry))
}

/// Every element of a view, one by one.
fn elements(view: &Tensor) -> BTreeSet<u64> {
    let dims = view.ndims as usize;
    let (shapes, mut strides) = (&view.shapes[..dims], view.strides[..dims].to_vec());
    if view.is_contiguous() {
        strides = row_major(shapes);
    }
    let mut positions = vec![view.start_offset];
    for (&length, stride) in shapes.iter().zip(strides) {
        let step = |from: u64| (0..length).map(move |index| from + u64::from(index) * u64::from(stride));
        positions = positions.into_iter().flat_map(step).collect();
    }
    positions.into_iter().collect()
}

#[test]
fn a_newer_version_depends_even_on_what_it_does_not_touch() {
    let entry = boxed(&[8], &[0], &[4]);
    let at = |version| Tensor { version, ..boxed(&[8], &[4], &[4]) };
    assert_eq!(status(&at(1), &entry), Other);
    assert_eq!(status(&at(0), &entry), NoOverlap);
    assert_eq!(status(&at(-1), &entry), NoOverlap);
    assert_eq!(status(&Tensor { version: -2, ..entry }, &Tensor { version: -3, ..entry }), Other);
}

#[test]
fn boxes_of_one_grid_are_compared_exactly() {
    let whole = boxed(&[4, 6], &[0, 0], &[4, 6]);
    let left = boxed(&[4, 6], &[0, 0], &[4, 3]);
    let right = boxed(&[4, 6], &[0, 3], &[4, 3]);
    let middle = boxed(&[4, 6], &[1, 1], &[2, 3]);
    assert_eq!(status(&left, &right), NoOverlap, "their element ranges meet, the columns do not");
    assert_eq!(status(&whole, &left), Covered);
    assert_eq!(status(&left, &left), Covered);
    assert_eq!(status(&left, &whole), Other);
    assert_eq!(status(&left, &middle), Other);
    assert_eq!(status(&whole, &middle), Covered);
}

#[test]
fn different_layouts_overlap_when_their_ranges_meet() {
    let whole = boxed(&[4, 4], &[0, 0], &[4, 4]);
    let transposed = view(16, 0, &[4, 4], &[1, 4]);
    let flat = boxed(&[16], &[0], &[16]);
    let every_second = view(16, 0, &[4, 2], &[4, 2]);
    for other in [transposed, flat, every_second] {
        assert_eq!(status(&whole, &other), Other);
        assert_eq!(status(&other, &whole), Other);
        assert_eq!(status(&other, &Tensor { start_offset: 16, ..whole }), NoOverlap);
    }
    let retyped = Tensor { dtype: DataType::Uint8.raw(), ..whole };
    assert_eq!(status(&retyped, &whole), Other);
}

#[test]
fn positions_count_elements_whatever_their_size() {
    let bytes = Tensor { start_offset: 8, ..boxed(&[8], &[0], &[8]) };
    let words = Tensor { dtype: DataType::Float32.raw(), buffer_size: 32, ..boxed(&[8], &[0], &[8]) };
    assert_eq!(status(&bytes, &words), NoOverlap, "the contract's rule, though both touch byte 8");
}

#[test]
fn what_is_not_a_grid_is_not_compared() {
    let half = |at| boxed(&[4, 6], &[0, at], &[4, 3]);
    let change = |change: fn(&mut Tensor)| {
        [0, 3].map(|at| {
            let mut view = half(at);
            change(&mut view);
            view
        })
    };
    let cases = [
        change(|view| view.buffer_size = 25),
        change(|view| view.buffer_size = 18),
        change(|view| view.dtype = 99),
        change(|view| view.strides = padded(&[6, 2])),
        change(|view| view.strides = padded(&[6, 0])),
        change(|view| (view.strides, view.buffer_size) = (padded(&[7, 2]), 28)),
        change(|view| view.shapes[1] = 4),
    ];
    for [left, right] in cases {
        assert_eq!(status(&left, &right), Other, "{left:?} {right:?}");
    }
    assert_eq!(status(&half(0), &half(3)), NoOverlap);
    let pairs = |start| view(8, start, &[1, 2], &[4, 2]);
    assert_eq!(status(&pairs(0), &pairs(1)), Other, "the last stride is not 1");
}

#[test]
fn a_view_inside_its_buffer_keeps_its_strides_even_if_dense() {
    let row = Tensor { is_contiguous: 1, ..boxed(&[4, 6], &[1, 0], &[1, 3]) };
    assert_eq!(status(&boxed(&[4, 6], &[0, 0], &[4, 3]), &row), Covered);
    assert_eq!(status(&boxed(&[4, 6], &[0, 3], &[4, 3]), &row), NoOverlap);
}

#[test]
fn the_storage_is_that_of_the_probe() {
    let [left, right] = [0, 3].map(|at| boxed(&[4, 6], &[0, at], &[4, 3]));
    let odd = |view| Tensor { buffer_size: 25, ..view };
    assert_eq!(status(&left, &odd(right)), NoOverlap);
    assert_eq!(status(&odd(left), &right), Other);
}

#[test]
fn unpromised_fields_are_not_read() {
    let whole = boxed(&[4, 6], &[0, 0], &[4, 6]);
    let dirty = Tensor { strides: [u32::MAX; MAX_DIMS], shapes: [4, 6, 77, 88, 99], ..whole };
    assert_eq!(Region::new(&dirty), Region::new(&whole));
    assert_eq!(status(&dirty, &boxed(&[4, 6], &[0, 3], &[4, 3])), Covered);
}

#[test]
fn a_view_without_elements_touches_nothing() {
    let empty = boxed(&[4, 6], &[1, 1], &[2, 0]);
    let whole = boxed(&[4, 6], &[0, 0], &[4, 6]);
    for (probe, entry) in [(&empty, &whole), (&whole, &empty), (&empty, &empty)] {
        assert_eq!(status(probe, entry), NoOverlap);
    }
}

#[test]
fn impossible_dimensions_touch_the_whole_buffer() {
    let far = Tensor { start_offset: 1 << 40, ..boxed(&[8], &[0], &[8]) };
    for ndims in [0, 6, u32::MAX] {
        let broken = Tensor { ndims, ..boxed(&[8], &[0], &[8]) };
        assert_eq!(status(&broken, &far), Other);
        assert_eq!(status(&far, &broken), Other);
        assert_eq!(status(&broken, &broken), Other);
    }
}

#[test]
fn ranges_saturate_at_the_end_of_the_number_space() {
    let last = Tensor { start_offset: u64::MAX, is_contiguous: 0, ..boxed(&[8], &[0], &[8]) };
    let huge = [u32::MAX; MAX_DIMS];
    let huge = Tensor { ndims: 5, shapes: huge, strides: huge, buffer_size: u64::MAX, ..last };
    let contiguous = Tensor { is_contiguous: 1, start_offset: 0, ..huge };
    for (probe, entry) in [(last, last), (huge, huge), (contiguous, contiguous), (last, contiguous)] {
        assert_eq!(status(&probe, &entry), Other);
    }
}

/// A grid and two boxes in it.
fn boxes() -> impl Strategy<Value = [Tensor; 2]> {
    let lengths = prop::collection::vec(1u32..=5, 1..=MAX_DIMS);
    lengths.prop_flat_map(|grid| {
        let span = |&length: &u32| (0..length).prop_flat_map(move |from| (Just(from), 1..=length - from));
        let spans: Vec<_> = grid.iter().map(span).collect();
        [spans.clone(), spans].prop_map(move |boxes| {
            boxes.map(|spans| {
                let (at, shapes): (Vec<u32>, Vec<u32>) = spans.into_iter().unzip();
                boxed(&grid, &at, &shapes)
            })
        })
    })
}

/// Small views of any layout, with strides and storage that need not fit together.
fn any_view() -> impl Strategy<Value = Tensor> {
    let dims =
        prop::collection::vec((0u32..=4, prop::sample::select(vec![0u32, 1, 1, 2, 3, 4, 4, 12])), 1..=4);
    let storage = prop_oneof![Just(48u64), Just(24), 0u64..=60];
    (dims, 0u64..40, storage, -1i32..=1, any::<bool>()).prop_map(|(dims, start, storage, version, dense)| {
        let (shapes, strides): (Vec<u32>, Vec<u32>) = dims.into_iter().unzip();
        let strides = if dense { row_major(&shapes) } else { strides };
        Tensor { version, ..view(storage, start, &shapes, &strides) }
    })
}

/// Views of one layout in which boxes may leave the grid.
fn same_strides() -> impl Strategy<Value = [Tensor; 2]> {
    let strides = vec![vec![12, 4, 1], vec![12, 3, 1], vec![6, 1], vec![12, 4, 2], vec![4, 4, 1], vec![1]];
    let side = || (prop::collection::vec(prop_oneof![4 => 0u32..=3, 1 => 4u32..=7], 3), 0u64..30);
    (prop::sample::select(strides), prop::sample::select(vec![12u64, 24, 30, 36, 48]), side(), side())
        .prop_map(|(strides, storage, one, other)| {
            [one, other].map(|(shapes, start)| Tensor {
                is_contiguous: 0,
                ..view(storage, start, &shapes[..strides.len()], &strides)
            })
        })
}

fn assert_conservative(probe: &Tensor, entry: &Tensor) {
    let (probe_elements, entry_elements) = (elements(probe), elements(entry));
    match status(probe, entry) {
        NoOverlap => assert!(probe_elements.is_disjoint(&entry_elements)),
        Covered => assert!(entry_elements.is_subset(&probe_elements)),
        Other => {}
    }
}

/// Fields with no sense at all, but with the values where arithmetic goes wrong.
fn garbage() -> impl Strategy<Value = Tensor> {
    let word = || prop_oneof![0u32..4, Just(u32::MAX), any::<u32>()];
    let long = || prop_oneof![0u64..64, Just(u64::MAX), any::<u64>()];
    let arrays = (prop::array::uniform5(word()), prop::array::uniform5(word()));
    let rest = (long(), long(), any::<i32>(), 0u8..13, 0u8..3, prop_oneof![0u32..8, word()]);
    (arrays, rest).prop_map(
        |((shapes, strides), (buffer_size, start_offset, version, dtype, is_contiguous, ndims))| Tensor {
            buffer_size,
            start_offset,
            version,
            dtype,
            is_contiguous,
            ndims,
            shapes,
            strides,
            ..view(1, 0, &[1], &[1])
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn boxes_of_one_grid_meet_as_their_elements_do([probe, entry] in boxes()) {
        let (probe_elements, entry_elements) = (elements(&probe), elements(&entry));
        let (one, other) = (Region::new(&probe), Region::new(&entry));
        // A box that is dense and starts at 0 is described by its own strides, not by those of the grid.
        if one.strides == other.strides {
            let expected = if probe_elements.is_disjoint(&entry_elements) {
                NoOverlap
            } else if entry_elements.is_subset(&probe_elements) {
                Covered
            } else {
                Other
            };
            prop_assert_eq!(overlap(&one, &other), expected);
        }
        assert_conservative(&probe, &entry);
    }

    #[test]
    fn any_two_views_are_judged_conservatively(probe in any_view(), entry in any_view()) {
        assert_conservative(&probe, &entry);
    }

    #[test]
    fn views_of_one_layout_are_judged_conservatively([probe, entry] in same_strides()) {
        assert_conservative(&probe, &entry);
    }

    #[test]
    fn garbage_is_judged_without_panic(probe in garbage(), entry in garbage()) {
        let judged = status(&probe, &entry);
        let valid = |view: &Tensor| (1..=5).contains(&view.ndims);
        let empty = |view: &Tensor| valid(view) && view.shapes[..view.ndims as usize].contains(&0);
        if !valid(&probe) && !empty(&entry) {
            prop_assert_eq!(judged, Other);
        }
        if probe.version <= entry.version && (empty(&probe) || empty(&entry)) {
            prop_assert_eq!(judged, NoOverlap);
        }
    }
}
