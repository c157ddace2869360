//! Messages as bytes.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Messages are plain data of this program's own types: encoding them cannot fail, and decoding only if the ranks run
/// different versions, which ends the job.
pub(crate) fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_stdvec(value).expect("a message can be encoded")
}

pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> T {
    postcard::from_bytes(bytes).expect("all ranks run the same version of this program")
}
