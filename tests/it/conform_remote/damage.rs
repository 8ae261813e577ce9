//! Wrong and missing bytes: each is found and named.

use bytes::Bytes;
use clade::id::{Digest, PackId};
use clade::remote::fault::{Fault, Faulty, Op, Rule};
use clade::remote::{
    AssetEntry, Error, Format, Key, Log, LogEntry, Session, SessionInfo, Transport, fetch_asset, publish_asset,
};

use crate::conform_remote::formats::{sample_asset, sample_format, sample_session};
use crate::conform_remote::support::{ALICE, chain, draft, hint, push_of, put_entries, remote_of};

#[test]
fn a_broken_chain_a_gap_and_a_lost_tail_are_found() {
    let entries = chain(6);
    let t = remote_of(&entries);
    assert_eq!(Log::open(&t, vec![]).expect("opens").seq(), 6);

    // Entry 3 of another history, valid by itself.
    let mut other = entries.clone();
    other[2].time_ms += 1;
    let t = remote_of(&other);
    let broken = Log::open(&t, vec![]).expect_err("the chain is broken");
    assert!(matches!(&broken, Error::Corrupt { key, .. } if key.ends_with('4')), "{broken}");

    // Entry 3 is one of those that the search for the head looks at, entry 2 is not.
    for missing in [2, 3] {
        let t = remote_of(&[]);
        put_entries(&t, entries.iter().filter(|e| e.seq != missing));
        t.put_hint(hint(6)).expect("writes");
        match Log::open(&t, vec![]) {
            Err(Error::LogGap { seq, head: 6 }) => assert_eq!(seq, missing),
            other => panic!("entry {missing} is missing: {other:?}"),
        }
    }

    let known: Vec<Bytes> = entries.iter().map(|e| e.encode().into()).collect();
    let t = remote_of(&entries[..5]);
    let lost = Log::open(&t, known.clone()).expect_err("entry 6 was read before");
    assert!(matches!(lost, Error::LogRolledBack { seq: 6 }), "{lost}");

    let t = remote_of(&other[..3]);
    let replaced = Log::open(&t, known[..3].to_vec()).expect_err("another entry 3");
    assert!(replaced.is_integrity(), "{replaced}");

    let mut wrong = entries.clone();
    wrong[1].seq = 7;
    let t = Transport::memory();
    for (n, entry) in (1..).zip(&wrong[..2]) {
        t.put_new(&Key::Log(n), entry.encode().into()).expect("writes");
    }
    assert!(matches!(Log::open(&t, vec![]), Err(Error::Corrupt { .. })));
}

#[test]
fn any_flipped_bit_or_cut_of_a_small_file_is_found() {
    let entry = chain(1).remove(0).encode();
    let session = sample_session().encode();
    let format = sample_format().encode();
    let asset = sample_asset().encode();
    let refuses = |bytes: &[u8]| {
        assert!(LogEntry::decode("k", bytes).is_err());
        assert!(SessionInfo::decode("k", bytes).is_err());
        assert!(Format::decode(bytes).is_err());
        assert!(AssetEntry::decode("k", bytes).is_err());
    };
    for file in [&entry, &session, &format, &asset] {
        for cut in 0..file.len() {
            refuses(&file[..cut]);
        }
        for bit in 0..file.len() * 8 {
            let mut spoilt = file.clone();
            spoilt[bit / 8] ^= 1 << (bit % 8);
            refuses(&spoilt);
        }
        refuses(&[&file[..], b"x"].concat());
    }
}

#[test]
fn resealed_nonsense_neither_panics_nor_allocates() {
    for file in [chain(1).remove(0).encode(), sample_asset().encode(), sample_format().encode()] {
        let map = &file[..file.len() - 32];
        for at in 0..map.len() {
            // Each byte becomes the head of a huge array, map, string or byte string in turn.
            for head in [0xdd, 0xdf, 0xdb, 0xc6, 0xcf, 0xc1, 0x00, 0xff] {
                let mut spoilt = map.to_vec();
                spoilt[at] = head;
                let seal = Digest::of(&spoilt);
                spoilt.extend_from_slice(seal.as_bytes());
                let _ = LogEntry::decode("k", &spoilt);
                let _ = AssetEntry::decode("k", &spoilt);
                let _ = Format::decode(&spoilt);
            }
        }
    }
    let mut deep = vec![0x91; 1 << 20];
    deep.extend_from_slice(Digest::of(&deep).as_bytes());
    assert!(LogEntry::decode("k", &deep).is_err());
}

#[test]
fn flipped_and_short_bytes_at_the_remote_are_found() {
    let bytes = Bytes::from(vec![1u8; 5000]);
    for fault in [Fault::Flip(777), Fault::Short(40)] {
        let faulty = Faulty::memory();
        let t = faulty.transport();
        let session = Session::create(&t, ALICE, 0, 0).expect("opens");
        faulty.add(Rule::once(Op::Put, "packs/", fault));
        let stored = session.upload_pack(PackId::new_v7(), &bytes);
        assert!(matches!(stored, Err(Error::Corrupt { .. })), "{fault:?}");

        let mut log = Log::open(&t, vec![]).expect("opens");
        faulty.add(Rule::once(Op::Put, "log/", fault));
        assert!(log.append(&draft(ALICE, push_of("a"))).is_err_and(|e| e.is_integrity()));
    }
    let faulty = Faulty::memory();
    let t = faulty.transport();
    publish_asset(&t, &sample_asset()).expect("writes");
    faulty.add(Rule::once(Op::Get, "assets/", Fault::Flip(1234)));
    let read = fetch_asset(&t, &sample_asset().content);
    assert!(read.is_err_and(|e| e.is_integrity()));
}
