use super::*;

fn read_all(kind: Kind, stream: &[u8], step: usize) -> Result<Vec<String>, &'static str> {
    let mut reader = MessageReader::new(kind);
    let mut seen: Vec<String> = Vec::new();
    for part in stream.chunks(step) {
        let mut input = part;
        loop {
            match reader.next(&mut input)? {
                Step::Starved => break,
                Step::Head(head) => {
                    let rule = match head.only("content-length") {
                        Some(n) => {
                            let n = std::str::from_utf8(n).unwrap().parse().unwrap();
                            BodyReader::length(n)
                        }
                        None if head.lists("transfer-encoding", "chunked") => BodyReader::chunked(),
                        None => BodyReader::length(0),
                    };
                    seen.push(format!("head {}", String::from_utf8_lossy(head.first(1))));
                    reader.begin_body(rule);
                }
                Step::Body(bytes) => {
                    let text = String::from_utf8_lossy(bytes);
                    match seen.last_mut() {
                        Some(last) if last.starts_with("body ") => last.push_str(&text),
                        _ => seen.push(format!("body {text}")),
                    }
                }
                Step::End => seen.push("end".into()),
            }
        }
    }
    assert_eq!(reader.offset, stream.len() as u64);
    Ok(seen)
}

#[test]
fn every_cut_of_a_stream_reads_the_same() {
    let stream = b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello\
        GET /b HTTP/1.1\r\nHost: x\r\n\r\n\
        PUT /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0A\r\n0123456789\r\n0\r\n\r\n";
    let whole = read_all(Kind::Request, stream, stream.len()).unwrap();
    assert_eq!(
        whole,
        ["head /a", "body hello", "end", "head /b", "end", "head /c", "body abc0123456789", "end"]
    );
    for step in 1..stream.len() {
        assert_eq!(read_all(Kind::Request, stream, step).unwrap(), whole, "step {step}");
    }
}

#[test]
fn what_can_be_read_in_two_ways_is_refused() {
    for bad in [
        "GET / HTTP/1.1\nHost: x\r\n\r\n",
        "GET  / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nA : b\r\n\r\n",
        "GET / HTTP/1.1\r\n A: b\r\n\r\n",
        "GET / HTTP/1.1\r\nA: b\rc\r\n\r\n",
        "GET / HTTP/1.1\r\nA: b\0c\r\n\r\n",
        "GET / HTTP/1.1\r\nA\r\n\r\n",
        "GET / HTTP/2.0\r\n\r\n",
        "\r\nGET / HTTP/1.1\r\n\r\n",
    ] {
        assert!(read_all(Kind::Request, bad.as_bytes(), 1000).is_err(), "{bad:?}");
    }
    for bad in
        ["\r\n", "x\r\n", "3;e\r\n", "3\nabc", "3\r\nabcd", "00000000000000001\r\n", "0\r\nT: x"]
    {
        let mut reader = BodyReader::chunked();
        let mut input = bad.as_bytes();
        let outcome = loop {
            match reader.next(&mut input) {
                Ok(Body::Bytes(_)) => {}
                other => break other,
            }
        };
        assert!(outcome.is_err(), "{bad:?} {outcome:?}");
    }
}

#[test]
fn the_lenient_reader_sees_what_the_strict_one_sees_in_clean_heads_only() {
    let clean = b"HTTP/1.1 200 OK\r\nA: b\r\nC:  d e \r\n\r\n";
    let strict = parse(Kind::Response, clean.to_vec()).unwrap();
    let (_, lenient) = lenient_view(clean);
    let strict: Vec<_> = strict.fields().map(|(n, v)| (n.to_vec(), v.to_vec())).collect();
    assert_eq!(strict, lenient);
    let (_, smuggled) = lenient_view(b"GET / HTTP/1.1\r\nA: b\nTransfer-Encoding: chunked\r\n\r\n");
    assert_eq!(smuggled.len(), 2);
}
