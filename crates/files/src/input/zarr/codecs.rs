//! What the metadata of an array say of how its chunks are stored.

use serde_json::{Map, Value};

use super::decode::{Step, Steps};
use super::metadata::{extents, named, numbers_of};

/// Bytes of the numbers of a chunk, at most.
const LARGEST_CHUNK: usize = 2 << 30;

/// How the numbers of a chunk became what is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Coding {
    /// Axis `k` of what is stored is axis `order[k]` of the chunk.
    pub order: Vec<usize>,
    /// What the file of a chunk is cut into, if it is a shard.
    pub shards: Option<Shards>,
    /// What was done with the bytes of a chunk, or of an inner chunk.
    pub steps: Steps,
}

/// How shards are cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shards {
    /// Extents of an inner chunk, in the order of axes of the shard.
    pub chunk: Vec<usize>,
    /// Axis `k` of what is stored of an inner chunk is axis `order[k]` of the shard.
    pub order: Vec<usize>,
    /// How the index is stored.
    pub index: Index,
}

/// How the index of a shard is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Index {
    pub at_start: bool,
    pub big_endian: bool,
    pub checksum: bool,
}

impl Coding {
    /// The coding, and whether the first byte of a number is the highest.
    ///
    /// # Errors
    /// What is there instead of codecs that are read here.
    pub(super) fn of_version_3(
        codecs: &[Value],
        axes: usize,
        number_bytes: usize,
    ) -> Result<(Self, bool), String> {
        let chain = Chain::of(codecs, axes, number_bytes)?;
        let Some(configuration) = chain.sharding else {
            let coding = Self {
                order: chain.order,
                shards: None,
                steps: chain.steps,
            };
            return Ok((coding, chain.big_endian));
        };
        if !chain.steps.is_empty() {
            return Err(
                "shards that are compressed as a whole, which are not read here".to_owned(),
            );
        }
        let list = |name: &str| {
            let codecs = configuration.get(name).and_then(Value::as_array);
            codecs.ok_or_else(|| format!("shards without {name}"))
        };
        let inner = Chain::of(list("codecs")?, axes, number_bytes)?;
        if inner.sharding.is_some() {
            return Err("shards within shards, which are not read here".to_owned());
        }
        let chunk = numbers_of(configuration.get("chunk_shape"));
        let chunk = extents(&chunk.ok_or("shards without chunk_shape")?)?;
        let location = configuration.get("index_location").and_then(Value::as_str);
        let coding = Self {
            order: chain.order,
            shards: Some(Shards {
                chunk,
                order: inner.order,
                index: Index::of(list("index_codecs")?, location)?,
            }),
            steps: inner.steps,
        };
        Ok((coding, inner.big_endian))
    }

    /// # Errors
    /// If `order` is neither `C` nor `F`.
    pub(super) fn of_version_2(order: &str, axes: usize, steps: Steps) -> Result<Self, String> {
        let order = match order {
            "C" => (0..axes).collect(),
            "F" => (0..axes).rev().collect(),
            other => return Err(format!("the order {other:?}")),
        };
        Ok(Self {
            order,
            shards: None,
            steps,
        })
    }

    /// Whether chunks of this shape can be cut and held.
    pub(super) fn check(&self, chunk: &[usize], number_bytes: usize) -> Result<(), String> {
        let mut unit: Vec<usize> = self.order.iter().map(|axis| chunk[*axis]).collect();
        if let Some(shards) = &self.shards {
            let fits =
                |(shard, inner): (&usize, &usize)| *inner > 0 && shard.is_multiple_of(*inner);
            if shards.chunk.len() != unit.len() || !unit.iter().zip(&shards.chunk).all(fits) {
                return Err(format!("shards {unit:?} of chunks {:?}", shards.chunk));
            }
            unit.clone_from(&shards.chunk);
        }
        // Chunks that are stored as they are, are read in parts.
        let bytes = unit
            .iter()
            .try_fold(number_bytes, |all, extent| all.checked_mul(*extent));
        match bytes {
            Some(bytes) if bytes <= LARGEST_CHUNK || self.steps.is_empty() => Ok(()),
            _ => Err(format!(
                "chunks of {unit:?} numbers, which are larger than 2 GiB"
            )),
        }
    }
}

impl Index {
    fn of(codecs: &[Value], location: Option<&str>) -> Result<Self, String> {
        let unknown =
            |name: &str| format!("an index of shards with {name:?}, which is not read here");
        let mut index = Self {
            at_start: match location {
                None | Some("end") => false,
                Some("start") => true,
                Some(other) => return Err(unknown(other)),
            },
            big_endian: false,
            checksum: false,
        };
        for codec in codecs {
            let (name, configuration) = named(codec).ok_or("a codec without a name")?;
            match name {
                "bytes" => index.big_endian = is_big_endian(configuration)?,
                "crc32c" => index.checksum = true,
                other => return Err(unknown(other)),
            }
        }
        Ok(index)
    }
}

/// The codecs of a chunk, or of an inner chunk.
struct Chain<'a> {
    order: Vec<usize>,
    big_endian: bool,
    sharding: Option<&'a Map<String, Value>>,
    steps: Steps,
}

impl<'a> Chain<'a> {
    fn of(codecs: &'a [Value], axes: usize, number_bytes: usize) -> Result<Self, String> {
        let mut order: Vec<usize> = (0..axes).collect();
        let mut bytes = None;
        let mut steps = Vec::new();
        for codec in codecs {
            let (name, configuration) = named(codec).ok_or("a codec without a name")?;
            match (name, bytes.is_some()) {
                ("transpose", false) => {
                    let turned = permutation(configuration.get("order"), axes)?;
                    order = turned.into_iter().map(|axis| order[axis]).collect();
                }
                ("bytes" | "endian", false) => bytes = Some((is_big_endian(configuration)?, None)),
                ("sharding_indexed", false) => bytes = Some((false, Some(configuration))),
                (name, true) => steps.push(step(name, configuration, number_bytes)?),
                (name, false) => return Err(unread(name)),
            }
        }
        let (big_endian, sharding) = bytes.ok_or("no codec that makes bytes of numbers")?;
        Ok(Self {
            order,
            big_endian,
            sharding,
            steps: Steps::new(steps)?,
        })
    }
}

/// The steps of filters and a compressor of version 2, in the order of writing.
///
/// # Errors
/// If one is not read here.
pub(super) fn steps_of_version_2<'a>(
    codecs: impl Iterator<Item = &'a Value>,
    number_bytes: usize,
) -> Result<Steps, String> {
    let steps = codecs.map(|codec| {
        let configuration = codec.as_object().ok_or("a codec without a name")?;
        let name = configuration.get("id").and_then(Value::as_str);
        step(
            name.ok_or("a codec without a name")?,
            configuration,
            number_bytes,
        )
    });
    Steps::new(steps.collect::<Result<_, String>>()?)
}

/// The step of a codec from bytes to bytes.
fn step(
    name: &str,
    configuration: &Map<String, Value>,
    number_bytes: usize,
) -> Result<Step, String> {
    Ok(match name.strip_prefix("numcodecs.").unwrap_or(name) {
        "blosc" => Step::Blosc,
        "gzip" => Step::Gzip,
        "zlib" => Step::Zlib,
        "zstd" => Step::Zstd,
        "lz4" => Step::Lz4,
        "crc32c" => Step::Crc32c,
        "shuffle" => {
            let element = configuration.get("elementsize").and_then(Value::as_u64);
            let element = element.map_or(Ok(number_bytes), usize::try_from);
            match element {
                Ok(element @ 1..) => Step::Shuffle(element),
                _ => return Err("a shuffle of elements without bytes".to_owned()),
            }
        }
        _ => return Err(unread(name)),
    })
}

fn unread(name: &str) -> String {
    format!(
        "the codec {name:?}, which is not read here (those are bytes, transpose, sharding_indexed, blosc, gzip, zlib, zstd, lz4, shuffle and \
         crc32c)"
    )
}

fn is_big_endian(configuration: &Map<String, Value>) -> Result<bool, String> {
    match configuration.get("endian").map(Value::as_str) {
        None | Some(Some("little")) => Ok(false),
        Some(Some("big")) => Ok(true),
        Some(other) => Err(format!("the byte order {other:?}")),
    }
}

/// The order of axes of the codec `transpose`.
fn permutation(order: Option<&Value>, axes: usize) -> Result<Vec<usize>, String> {
    let unknown = || format!("the order of axes {order:?}");
    let found = match order.and_then(Value::as_str) {
        Some("C") => (0..axes).collect(),
        Some("F") => (0..axes).rev().collect(),
        _ => extents(&numbers_of(order).ok_or_else(unknown)?)?,
    };
    let mut sorted = found.clone();
    sorted.sort_unstable();
    match sorted.into_iter().eq(0..axes) {
        true => Ok(found),
        false => Err(unknown()),
    }
}
