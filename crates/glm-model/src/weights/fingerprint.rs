//! Telling bases apart.

use super::WeightFolder;

/// FNV-1a over names, types, shapes and the first 256 bytes of every tensor: tells bases apart, proves nothing.
pub fn fingerprint(weights: &WeightFolder) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    let mut eat = |bytes: &[u8]| {
        for b in bytes {
            hash = (hash ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    for name in weights.names() {
        let Some(tensor) = weights.get(name) else { continue };
        eat(name.as_bytes());
        eat(format!("{}{:?}", tensor.dtype, tensor.shape).as_bytes());
        eat(&tensor.data[..tensor.data.len().min(256)]);
    }
    format!("{hash:016x}")
}
