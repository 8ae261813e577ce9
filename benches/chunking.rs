//! Speed of finding boundaries and of encoding chunks, in bytes a second.

use clade::chunk::{Profile, chunks};
use clade::codec::{Hint, encode};
use divan::Bencher;
use divan::counter::BytesCount;

fn main() {
    divan::main();
}

/// Noise with a period no chunk reaches: the gear hash sees what it sees in real data.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 1u64;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    (0..len).map(next).collect()
}

fn safetensors(len: usize) -> Vec<u8> {
    let json = format!(r#"{{"w":{{"dtype":"U8","shape":[{len}],"data_offsets":[0,{len}]}}}}"#);
    let mut out = (json.len() as u64).to_le_bytes().to_vec();
    out.extend_from_slice(json.as_bytes());
    out.extend_from_slice(&noise(len));
    out
}

fn cut(bencher: Bencher, bytes: &[u8]) {
    bencher.counter(BytesCount::of_slice(bytes)).bench_local(|| chunks(Profile::One, divan::black_box(bytes)).count());
}

#[divan::bench]
fn cut_plain(bencher: Bencher) {
    cut(bencher, &noise(32 << 20));
}

#[divan::bench]
fn cut_tensors(bencher: Bencher) {
    cut(bencher, &safetensors(32 << 20));
}

#[divan::bench]
fn cut_zeros(bencher: Bencher) {
    cut(bencher, &vec![0; 32 << 20]);
}

#[divan::bench]
fn encode_noise(bencher: Bencher) {
    let bytes = noise(64 << 10);
    bencher
        .counter(BytesCount::of_slice(&bytes))
        .bench_local(|| encode(Hint::Plain, divan::black_box(&bytes)).payload.len());
}

#[divan::bench]
fn encode_text(bencher: Bencher) {
    let rows = (0..2500).map(|i| format!("{i},Cologne,{}\n", i * i));
    let bytes = rows.collect::<String>().into_bytes();
    bencher
        .counter(BytesCount::of_slice(&bytes))
        .bench_local(|| encode(Hint::Plain, divan::black_box(&bytes)).payload.len());
}
