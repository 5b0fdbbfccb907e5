//! Arguments and edges as the file has them: every field beside every other, some absent.

use serde::{Deserialize, Serialize};

use super::{Arg, ArgKind, ArgTensor, Edge, Overlap, Reason, View};
use crate::decimal;
use crate::dtype::Dtype;

#[derive(Serialize, Deserialize)]
pub(super) struct FlatArg {
    idx: u32,
    #[serde(rename = "type")]
    kind: ArgKind,
    #[serde(default, with = "decimal::option", skip_serializing_if = "Option::is_none")]
    tensor_id: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dtype: Option<Dtype>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shape: Option<Vec<u32>>,
    #[serde(default, with = "decimal::option", skip_serializing_if = "Option::is_none")]
    start_offset: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    strides: Option<Vec<u32>>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct FlatEdge {
    #[serde(with = "decimal")]
    pred: u64,
    #[serde(with = "decimal")]
    succ: u64,
    arg: i32,
    source: Source,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    overlap: Option<Overlap>,
    #[serde(default, with = "decimal::option", skip_serializing_if = "Option::is_none")]
    tensor_id: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    consumer_dtype: Option<Dtype>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    consumer_shape: Option<Vec<u32>>,
    #[serde(default, with = "decimal::option", skip_serializing_if = "Option::is_none")]
    consumer_start_offset: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    consumer_strides: Option<Vec<u32>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    producer_shape: Option<Vec<u32>>,
    #[serde(default, with = "decimal::option", skip_serializing_if = "Option::is_none")]
    producer_start_offset: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    producer_strides: Option<Vec<u32>>,
}

#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Source {
    Explicit,
    Creator,
    Tensormap,
}

fn missing(field: &str) -> String {
    format!("missing field `{field}`")
}

impl View {
    fn from_parts(
        names: [&str; 3],
        shape: Option<Vec<u32>>,
        start_offset: Option<u64>,
        strides: Option<Vec<u32>>,
    ) -> Result<Self, String> {
        Ok(Self {
            shape: shape.ok_or_else(|| missing(names[0]))?,
            start_offset: start_offset.ok_or_else(|| missing(names[1]))?,
            strides: strides.ok_or_else(|| missing(names[2]))?,
        })
    }
}

impl TryFrom<FlatArg> for Arg {
    type Error = String;

    fn try_from(flat: FlatArg) -> Result<Self, String> {
        let FlatArg { idx, kind, tensor_id, dtype, shape, start_offset, strides } = flat;
        let tensor = match tensor_id {
            Some(tensor_id) => {
                let dtype = dtype.ok_or_else(|| missing("dtype"))?;
                let names = ["shape", "start_offset", "strides"];
                Some(ArgTensor {
                    tensor_id,
                    dtype,
                    view: View::from_parts(names, shape, start_offset, strides)?,
                })
            }
            None if dtype.is_some() || shape.is_some() || start_offset.is_some() || strides.is_some() => {
                return Err(missing("tensor_id"));
            }
            None => None,
        };
        Ok(Self { idx, kind, tensor })
    }
}

impl From<Arg> for FlatArg {
    fn from(arg: Arg) -> Self {
        let mut flat = Self {
            idx: arg.idx,
            kind: arg.kind,
            tensor_id: None,
            dtype: None,
            shape: None,
            start_offset: None,
            strides: None,
        };
        if let Some(ArgTensor { tensor_id, dtype, view }) = arg.tensor {
            flat.tensor_id = Some(tensor_id);
            flat.dtype = Some(dtype);
            flat.shape = Some(view.shape);
            flat.start_offset = Some(view.start_offset);
            flat.strides = Some(view.strides);
        }
        flat
    }
}

impl TryFrom<FlatEdge> for Edge {
    type Error = String;

    fn try_from(flat: FlatEdge) -> Result<Self, String> {
        let FlatEdge { pred, succ, arg, source, overlap, .. } = flat;
        let consumer = || -> Result<ArgTensor, String> {
            let names = ["consumer_shape", "consumer_start_offset", "consumer_strides"];
            Ok(ArgTensor {
                tensor_id: flat.tensor_id.ok_or_else(|| missing("tensor_id"))?,
                dtype: flat.consumer_dtype.ok_or_else(|| missing("consumer_dtype"))?,
                view: View::from_parts(
                    names,
                    flat.consumer_shape,
                    flat.consumer_start_offset,
                    flat.consumer_strides,
                )?,
            })
        };
        let reason = match source {
            Source::Explicit => Reason::Explicit,
            Source::Creator => Reason::Creator { consumer: consumer()? },
            Source::Tensormap => {
                let names = ["producer_shape", "producer_start_offset", "producer_strides"];
                Reason::Tensormap {
                    overlap: overlap.ok_or_else(|| missing("overlap"))?,
                    consumer: consumer()?,
                    producer: View::from_parts(
                        names,
                        flat.producer_shape,
                        flat.producer_start_offset,
                        flat.producer_strides,
                    )?,
                }
            }
        };
        Ok(Self { pred, succ, arg, reason })
    }
}

impl From<Edge> for FlatEdge {
    fn from(edge: Edge) -> Self {
        let (source, overlap, consumer, producer) = match edge.reason {
            Reason::Explicit => (Source::Explicit, None, None, None),
            Reason::Creator { consumer } => (Source::Creator, None, Some(consumer), None),
            Reason::Tensormap { overlap, consumer, producer } => {
                (Source::Tensormap, Some(overlap), Some(consumer), Some(producer))
            }
        };
        let (tensor_id, consumer_dtype, consumer) = match consumer {
            Some(ArgTensor { tensor_id, dtype, view }) => (Some(tensor_id), Some(dtype), Some(view)),
            None => (None, None, None),
        };
        let (consumer_shape, consumer_start_offset, consumer_strides) = parts(consumer);
        let (producer_shape, producer_start_offset, producer_strides) = parts(producer);
        Self {
            pred: edge.pred,
            succ: edge.succ,
            arg: edge.arg,
            source,
            overlap,
            tensor_id,
            consumer_dtype,
            consumer_shape,
            consumer_start_offset,
            consumer_strides,
            producer_shape,
            producer_start_offset,
            producer_strides,
        }
    }
}

type Parts = (Option<Vec<u32>>, Option<u64>, Option<Vec<u32>>);

fn parts(view: Option<View>) -> Parts {
    match view {
        Some(View { shape, start_offset, strides }) => (Some(shape), Some(start_offset), Some(strides)),
        None => (None, None, None),
    }
}
