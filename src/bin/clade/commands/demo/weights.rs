//! Weights and tables that look like real ones, from a seed.

/// Numbers of a normal distribution with the spread of trained weights, as bfloat16 in little-endian bytes.
fn normal_bf16(seed: u64, count: usize) -> Vec<u8> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes());
    let mut noise = vec![0u8; count * 8];
    hasher.finalize_xof().fill(&mut noise);
    let unit = |b: &[u8]| (f64::from(u32::from_le_bytes([b[0], b[1], b[2], b[3]])) + 1.0) / 4_294_967_297.0;
    let mut out = Vec::with_capacity(count * 2);
    for pair in noise.chunks_exact(8) {
        // Box and Muller's transform.
        let normal = (-2.0 * unit(&pair[..4]).ln()).sqrt() * (std::f64::consts::TAU * unit(&pair[4..])).cos();
        #[expect(clippy::cast_possible_truncation, reason = "weights are small")]
        let bits = ((normal * 0.02) as f32).to_bits();
        let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1));
        out.extend_from_slice(&u16::try_from(rounded >> 16).unwrap_or(0).to_le_bytes());
    }
    out
}

/// A safetensors file: an embedding and `layers` layers of `width` squared weights. Tensors of the layers from
/// `first_changed` on come from `seed`, all others from a fixed one.
pub(super) fn model(width: usize, layers: usize, first_changed: usize, seed: u64) -> Vec<u8> {
    let mut names = vec![("embeddings.word_embeddings.weight".to_owned(), 4 * width)];
    for layer in 0..layers {
        for part in ["query", "key", "value"] {
            names.push((format!("encoder.layer.{layer}.attention.self.{part}.weight"), width));
        }
    }
    let (mut header, mut data) = (Vec::new(), Vec::new());
    for (n, (name, rows)) in names.iter().enumerate() {
        let layer = n.div_ceil(3);
        let own = if layer > first_changed { seed } else { 1 };
        let bytes = normal_bf16(own * 1000 + n as u64, rows * width);
        let (start, end) = (data.len(), data.len() + bytes.len());
        header.push(format!(r#""{name}":{{"dtype":"BF16","shape":[{rows},{width}],"data_offsets":[{start},{end}]}}"#));
        data.extend(bytes);
    }
    let header = format!("{{{}}}", header.join(","));
    let mut out = (header.len() as u64).to_le_bytes().to_vec();
    out.extend(header.as_bytes());
    out.extend(data);
    out
}

/// A table of measurements of one patient.
pub(super) fn patient(n: u64) -> String {
    let mut out = "day,pulse,pressure,note\n".to_owned();
    for day in 0..400u64 {
        let h = (n * 7919 + day * 104_729) % 1009;
        out.push_str(&format!("{day},{},{},visit {}\n", 55 + h % 60, 100 + (h * 31) % 70, h));
    }
    out
}
