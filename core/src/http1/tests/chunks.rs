//! Bodies: REQ-2, REQ-3, REQ-5, REQ-8, RES-2.

use super::*;

/// Payload, consumed bytes and end of `bytes` given in pieces that end at `cuts`.
fn decode_cut(bytes: &[u8], cuts: &[usize]) -> Result<(Vec<u8>, usize, bool), Refusal> {
    let mut decoder = ChunkDecoder::new();
    let (mut payload, mut consumed) = (Vec::new(), 0);
    for &end in cuts.iter().chain(&[bytes.len()]) {
        let mut piece = bytes[consumed..end.max(consumed)].to_vec();
        let decoded = decoder.decode(&mut piece)?;
        payload.extend_from_slice(&piece[decoded.payload]);
        consumed += decoded.consumed;
        if decoded.done {
            return Ok((payload, consumed, true));
        }
        assert_eq!(decoded.consumed, piece.len());
    }
    Ok((payload, consumed, false))
}

/// The same, for every cut into two and byte by byte (REQ-1).
fn decode_all_ways(bytes: &[u8]) -> Result<(Vec<u8>, usize, bool), Refusal> {
    let whole = decode_cut(bytes, &[]);
    for cut in 0..=bytes.len() {
        assert_eq!(decode_cut(bytes, &[cut]), whole, "{} cut at {cut}", show(bytes));
    }
    let every: Vec<usize> = (0..=bytes.len()).collect();
    assert_eq!(decode_cut(bytes, &every), whole, "{} byte by byte", show(bytes));
    whole
}

#[test]
fn complete_bodies() {
    // REQ-2, REQ-5: extensions and trailers vanish; what follows is left alone (REQ-8).
    for (bytes, payload) in [
        ("0\r\n\r\n", ""),
        ("000\r\n\r\n", ""),
        ("5\r\nhello\r\n0\r\n\r\n", "hello"),
        ("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", "hello world"),
        ("a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789"),
        ("0000000000000001\r\nx\r\n0\r\n\r\n", "x"),
        ("1;a=b\r\nx\r\n0;last\r\n\r\n", "x"),
        ("1 \t;a = \"b;\\\"\\\\\t=\" ;c\r\nx\r\n0\r\n\r\n", "x"),
        ("2\r\n\r\n\r\n0\r\n\r\n", "\r\n"),
        ("0\r\nA: b\r\nC:\r\n\r\n", ""),
        ("1\r\nx\r\n0\r\nContent-Length: 7\r\n\r\n", "x"),
    ] {
        let expected = Ok((payload.as_bytes().to_vec(), bytes.len(), true));
        assert_eq!(decode_all_ways(bytes.as_bytes()), expected, "{bytes:?}");
        let more = format!("{bytes}\0GET / HTTP/1.1");
        assert_eq!(decode_all_ways(more.as_bytes()), expected, "{bytes:?}");
        // RES-2: no prefix passes for complete.
        for cut in 0..bytes.len() {
            let (_, _, done) = decode_cut(&bytes.as_bytes()[..cut], &[]).unwrap();
            assert!(!done, "{bytes:?} up to {cut}");
        }
    }
}

#[test]
fn malformed_bodies() {
    // REQ-2
    use Refusal::*;
    for (bytes, refusal) in [
        ("\r\n", ChunkSize),
        ("\n", ChunkSize),
        (";a\r\n", ChunkSize),
        (" 1\r\n", ChunkSize),
        ("g\r\n", ChunkSize),
        ("-1\r\n", ChunkSize),
        ("+1\r\n", ChunkSize),
        ("0x1\r\n", ChunkSize),
        ("1_0\r\n", ChunkSize),
        ("1\n", ChunkSize),
        ("1 \r\n", ChunkSize),
        ("1 2\r\n", ChunkSize),
        ("00000000000000001\r\n", ChunkSize),
        ("10000000000000000\r\n", ChunkSize),
        ("1\rx", BareCr),
        ("1\r\r\n", BareCr),
        ("1;a\n", ChunkExtension),
        ("1;a\0", ChunkExtension),
        ("1;a=\"\r\n", ChunkExtension),
        ("1;a=\"\n", ChunkExtension),
        ("1;a=\"\\\r", ChunkExtension),
        ("1;a=\"\\\n", ChunkExtension),
        ("1;a=\"\0", ChunkExtension),
        ("1;a,b\r\n", ChunkExtension),
        ("1;a\rb", BareCr),
        ("1\r\nxy", ChunkEnd),
        ("1\r\nx\n", ChunkEnd),
        ("1\r\nx\r\r", ChunkEnd),
        ("1\r\nx0", ChunkEnd),
        ("1\r\nx\r\n\r\n", ChunkSize),
        ("0\r\n\rx", BareCr),
        ("0\r\n\n", FieldName),
        ("0\r\n x", ObsFold),
        ("0\r\n:", FieldName),
        ("0\r\nA\r\n", FieldName),
        ("0\r\nA :", SpaceBeforeColon),
        ("0\r\nA: b\n", BareLf),
        ("0\r\nA: b\0", Control),
        ("0\r\nA: b\rc", BareCr),
        ("0\r\nA: b\r\n c", ObsFold),
    ] {
        assert_eq!(decode_all_ways(bytes.as_bytes()), Err(refusal), "{bytes:?}");
        assert_eq!(refusal.status(), 400);
    }
}

#[test]
fn chunk_limits_are_exact() {
    // REQ-3
    let line = |bytes: usize| format!("1;{}\r\nx\r\n0\r\n\r\n", "a".repeat(bytes - 2));
    let exact = line(CHUNK_LINE_BYTES_MAX.into());
    assert_eq!(decode_all_ways(exact.as_bytes()), Ok((b"x".to_vec(), exact.len(), true)));
    let over = line(usize::from(CHUNK_LINE_BYTES_MAX) + 1);
    assert_eq!(decode_all_ways(over.as_bytes()), Err(Refusal::ChunkLineTooLong));
    // It holds for each line anew.
    let twice = exact.replace("0\r\n\r\n", &exact);
    let decoded = decode_cut(twice.as_bytes(), &[]);
    assert_eq!(decoded, Ok((b"xx".to_vec(), twice.len(), true)));

    let trailers = |bytes: usize| format!("0\r\nA:{}\r\nB:\r\n\r\n", "b".repeat(bytes - 10));
    let exact = trailers(TRAILER_BYTES_MAX.into());
    assert_eq!(exact.len(), usize::from(TRAILER_BYTES_MAX) + 3);
    assert_eq!(decode_cut(exact.as_bytes(), &[]), Ok((vec![], exact.len(), true)));
    let over = trailers(usize::from(TRAILER_BYTES_MAX) + 1);
    assert_eq!(decode_cut(over.as_bytes(), &[]), Err(Refusal::TrailersTooLarge));
    let every: Vec<usize> = (0..over.len()).collect();
    assert_eq!(decode_cut(over.as_bytes(), &every), Err(Refusal::TrailersTooLarge));
}

#[test]
fn the_largest_size_is_taken() {
    // REQ-3
    let mut decoder = ChunkDecoder::new();
    let mut bytes = b"ffffffffffffffff\r\nabc".to_vec();
    let decoded = decoder.decode(&mut bytes).unwrap();
    assert_eq!((decoded.payload, decoded.consumed, decoded.done), (18..21, 21, false));
}

#[test]
fn a_single_run_is_not_moved() {
    let mut decoder = ChunkDecoder::new();
    let mut bytes = b"5\r\nhello\r\n3\r\nab".to_vec();
    let decoded = decoder.decode(&mut bytes).unwrap();
    assert_eq!(decoded.payload, 3..10);
    assert_eq!(&bytes[decoded.payload], b"helloab");
    let mut bytes = b"c\r\n0\r\n".to_vec();
    let decoded = decoder.decode(&mut bytes).unwrap();
    assert_eq!(decoded.payload, 0..1);
    let mut bytes = b"\r".to_vec();
    assert!(decoder.decode(&mut bytes).unwrap().payload.is_empty());
    assert!(size_of::<ChunkDecoder>() <= 16);
}

#[test]
fn encoding_and_decoding_are_inverses() {
    // REQ-5
    let mut sizes: Vec<usize> = (1..40).collect();
    sizes.extend([255, 256, 4095, 4096, 65_535, 65_536]);
    let mut encoded = Vec::new();
    let mut payload = Vec::new();
    for (index, &size) in sizes.iter().enumerate() {
        let chunk: Vec<u8> = (0..size).map(|at| (at * 7 + index) as u8).collect();
        let mut header = [b'!'; CHUNK_HEADER_MAX];
        if index % 2 == 0 {
            let len = chunk_header(size, &mut header);
            encoded.extend_from_slice(&header[..len]);
        } else {
            let start = chunk_header_before(size, &mut header);
            encoded.extend_from_slice(&header[start..]);
        }
        encoded.extend_from_slice(&chunk);
        encoded.extend_from_slice(CHUNK_END);
        payload.extend_from_slice(&chunk);
    }
    encoded.extend_from_slice(LAST_CHUNK);
    for step in [1, 2, 3, 7, 64, 1000, encoded.len()] {
        let cuts: Vec<usize> = (0..encoded.len()).step_by(step).collect();
        let decoded = decode_cut(&encoded, &cuts);
        assert!(decoded == Ok((payload.clone(), encoded.len(), true)), "pieces of {step}");
    }
}

#[test]
fn chunk_headers() {
    let mut out = [0; CHUNK_HEADER_MAX];
    let len = chunk_header(0x4000, &mut out);
    assert_eq!(&out[..len], b"4000\r\n");
    let start = chunk_header_before(usize::MAX, &mut out);
    assert_eq!(&out[start..], format!("{:x}\r\n", usize::MAX).as_bytes());
    // No chunk is empty: that would end the body.
    assert_eq!(chunk_header(0, &mut out), 0);
    assert_eq!(chunk_header_before(0, &mut out), CHUNK_HEADER_MAX);
}

#[test]
fn readers() {
    // REQ-8, RES-2
    let take = |reader: &mut BodyReader, bytes: &str| {
        let mut bytes = bytes.as_bytes().to_vec();
        let taken = reader.take(&mut bytes).unwrap();
        (show(&bytes[taken.payload]), taken.consumed, taken.done)
    };
    for framing in [Framing::None, Framing::Length(0)] {
        let mut reader = BodyReader::new(framing);
        assert!(reader.is_done() && reader.at_eof());
        assert_eq!(take(&mut reader, "GET"), (String::new(), 0, true));
        assert_eq!(reader.remaining_length(), Some(0));
    }
    let mut reader = BodyReader::new(Framing::Length(5));
    assert_eq!(take(&mut reader, "ab"), ("ab".into(), 2, false));
    assert_eq!((reader.remaining_length(), reader.at_eof()), (Some(3), false));
    assert_eq!(take(&mut reader, "cdeGET"), ("cde".into(), 3, true));
    assert!(reader.is_done() && reader.at_eof());
    assert_eq!(take(&mut reader, "GET"), (String::new(), 0, true));

    let mut reader = BodyReader::new(Framing::UntilClose);
    assert_eq!(take(&mut reader, "ab"), ("ab".into(), 2, false));
    assert!(!reader.is_done() && reader.at_eof());
    assert_eq!(reader.remaining_length(), None);

    let mut reader = BodyReader::new(Framing::Chunked);
    assert_eq!(take(&mut reader, "2\r\nab\r\n0\r\n"), ("ab".into(), 10, false));
    assert!(!reader.is_done() && !reader.at_eof());
    assert_eq!(reader.remaining_length(), None);
    assert_eq!(take(&mut reader, "\r\nGET"), (String::new(), 2, true));
    assert!(reader.is_done() && reader.at_eof());
    let mut reader = BodyReader::new(Framing::Chunked);
    assert_eq!(reader.take(&mut b"x".to_vec()), Err(Refusal::ChunkSize));
    let mut reader = BodyReader::new(Framing::Length(u64::MAX));
    assert_eq!(take(&mut reader, "ab"), ("ab".into(), 2, false));
}
