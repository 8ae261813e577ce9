use super::*;

fn packets(lists: &[&[&[u8]]]) -> Vec<u8> {
    let mut out = Vec::new();
    for list in lists {
        for line in *list {
            pktline::write(&mut out, line).expect("into memory");
        }
        pktline::flush(&mut out).expect("into memory");
    }
    out
}

const HELLO: &[&[u8]] = &[b"git-filter-client\n", b"version=2\n"];
const CAN: &[&[u8]] = &[b"capability=clean\n", b"capability=smudge\n", b"capability=delay\n"];

/// Turns content around in capitals; refuses by the path's name.
struct Upper {
    seen: Vec<Request>,
}

impl FilterHandler for Upper {
    fn filter(
        &mut self,
        request: &Request,
        content: &mut (dyn Read + Send),
        answer: &mut dyn Write,
    ) -> Result<(), Refusal> {
        self.seen.push(request.clone());
        match &request.path[..] {
            b"early" => return Err(Refusal::File),
            b"late" => {
                answer.write_all(&[1; 70_000]).map_err(|_| Refusal::File)?;
                return Err(Refusal::File);
            }
            b"abort" => return Err(Refusal::Abort),
            _ => {}
        }
        let mut all = Vec::new();
        content.read_to_end(&mut all).map_err(|_| Refusal::File)?;
        all.make_ascii_uppercase();
        answer.write_all(&all).map_err(|_| Refusal::File)
    }
}

fn talk(wire: &[u8]) -> (Result<()>, Vec<u8>, Vec<Request>) {
    let (mut out, mut handler) = (Vec::new(), Upper { seen: Vec::new() });
    let end = serve(wire, &mut out, &mut handler);
    (end, out, handler.seen)
}

#[test]
fn a_whole_conversation() {
    let oid = "ab".repeat(20);
    let blob = format!("blob={oid}\n");
    let wire = packets(&[
        HELLO,
        CAN,
        &[b"command=list_available_blobs\n"],
        &[b"command=clean\n", b"pathname=a=b\n"],
        &[b"con", b"tent"],
        &[
            b"command=smudge\n",
            b"pathname=early\n",
            b"can-delay=1\n",
            blob.as_bytes(),
            b"ref=refs/heads/x\n",
            b"new=1\n",
        ],
        &[b"unread"],
        &[b"command=smudge\n", b"pathname=late\n"],
        &[],
        &[b"command=clean\n", b"pathname=empty\n"],
        &[],
    ]);
    let (end, out, seen) = talk(&wire);
    end.expect("git closed the pipe");
    let big = [1u8; 70_000];
    let expected = packets(&[
        &[b"git-filter-server\n", b"version=2\n"],
        CAN,
        &[],
        &[b"status=success\n"],
        &[b"status=success\n"],
        &[b"CONTENT"],
        &[],
        &[b"status=error\n"],
        &[b"status=success\n"],
        &[&big[..MAX_DATA_BYTES]],
        &[b"status=error\n"],
        &[b"status=success\n"],
        &[],
        &[],
    ]);
    assert!(out == expected, "{}", String::from_utf8_lossy(&out[..200]));
    assert_eq!(seen[0].path, b"a=b");
    assert_eq!(seen[1].blob, Oid::parse(&oid));
    assert!(seen[1].can_delay && !seen[0].can_delay);
    assert_eq!(seen[1].reference.as_deref(), Some("refs/heads/x"));
}

#[test]
fn any_cut_is_a_clean_end_or_a_fault() {
    let wire = packets(&[HELLO, CAN, &[b"command=clean\n", b"pathname=x\n"], &[b"abc"]]);
    let ends: Vec<usize> = (0..=wire.len()).filter(|cut| talk(&wire[..*cut]).0.is_ok()).collect();
    let greeted = packets(&[HELLO, CAN]).len();
    assert_eq!(ends, [greeted, wire.len()]);
}

#[test]
fn flipped_bits_never_panic() {
    let wire = packets(&[HELLO, CAN, &[b"command=clean\n", b"pathname=x\n"], &[b"abc"]]);
    for bit in 0..wire.len() * 8 {
        let mut bad = wire.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        let _ = talk(&bad);
    }
}

#[test]
fn other_protocols_are_refused() {
    for hello in [&[&b"git-filter-client\n"[..], b"version=3\n"][..], &[b"other", b"version=2"], &[]] {
        assert!(talk(&packets(&[hello, CAN])).0.is_err());
    }
    assert!(talk(&packets(&[HELLO, CAN, &[b"command=other\n", b"pathname=x\n"]])).0.is_err());
    assert!(talk(&packets(&[HELLO, CAN, &[b"command=clean\n"]])).0.is_err());
    let endless: Vec<&[u8]> = vec![b"x=1"; MAX_LIST_LINES + 1];
    assert!(talk(&packets(&[HELLO, CAN, &endless])).0.is_err());
}
