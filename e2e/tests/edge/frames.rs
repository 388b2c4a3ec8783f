//! Requests of HTTP/2 that a translation to HTTP/1 would make two of, frame by frame.

use bytes::{BufMut as _, BytesMut};

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const GOAWAY: u8 = 7;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// One case.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// Whether it is a good request, as a control.
    good: bool,
    pub(crate) text: String,
    pub(crate) bytes: Vec<u8>,
}

/// A change of the headers of a good request.
type Change = fn(&mut Vec<(Vec<u8>, Vec<u8>)>);

fn add(headers: &mut Vec<(Vec<u8>, Vec<u8>)>, name: &[u8], value: &[u8]) {
    headers.push((name.to_vec(), value.to_vec()));
}

fn set(headers: &mut [(Vec<u8>, Vec<u8>)], name: &[u8], value: &[u8]) {
    if let Some(header) = headers.iter_mut().find(|(n, _)| n == name) {
        header.1 = value.to_vec();
    }
}

const CHANGES: [(&str, Change); 22] = [
    ("transfer-encoding", |h| add(h, b"transfer-encoding", b"chunked")),
    ("connection", |h| add(h, b"connection", b"content-length")),
    ("keep-alive", |h| add(h, b"keep-alive", b"1")),
    ("proxy-connection", |h| add(h, b"proxy-connection", b"close")),
    ("upgrade", |h| add(h, b"upgrade", b"h2c")),
    ("te: gzip", |h| add(h, b"te", b"gzip")),
    ("CR LF in a value", |h| add(h, b"x-a", b"b\r\ntransfer-encoding: chunked")),
    ("LF in a value", |h| add(h, b"x-a", b"b\ntransfer-encoding: chunked")),
    ("CR in a value", |h| add(h, b"x-a", b"b\rc")),
    ("NUL in a value", |h| add(h, b"x-a", b"b\0c")),
    ("CR LF in a name", |h| add(h, b"x-a: b\r\ntransfer-encoding", b"chunked")),
    ("a colon in a name", |h| add(h, b"x:a", b"b")),
    ("a space in a name", |h| add(h, b"x a", b"b")),
    ("capitals in a name", |h| add(h, b"X-A", b"b")),
    ("an empty name", |h| add(h, b"", b"b")),
    ("CR LF in the path", |h| set(h, b":path", b"/v1/sentiment HTTP/1.1\r\nHost: a\r\n\r\nGET /")),
    ("a space in the path", |h| set(h, b":path", b"/v1/sentiment HTTP/1.1")),
    ("two paths", |h| add(h, b":path", b"/v1/sentiment")),
    ("a pseudo-header behind the headers", |h| add(h, b":scheme", b"http")),
    ("CR LF in the method", |h| set(h, b":method", b"POST / HTTP/1.1\r\nX")),
    ("CR LF in the authority", |h| set(h, b":authority", b"quipu\r\nX: y")),
    ("a length that is not the body's", |h| set(h, b"content-length", b"4")),
];

/// Every case and a control.
pub(crate) fn cases(token: &str) -> Vec<Case> {
    let control = ("a good request", (|_| {}) as Change, true);
    let changed = CHANGES.iter().map(|(name, change)| (*name, *change, false));
    let all = std::iter::once(control).chain(changed).enumerate();
    all.map(|(n, (name, change, good))| {
        let text = format!("frames {n} !");
        Case { name, good, bytes: request(token, &text, change), text }
    })
    .collect()
}

fn request(token: &str, text: &str, change: Change) -> Vec<u8> {
    let body = format!("{{\"text\":\"{text}\"}}");
    let (length, token) = (body.len().to_string(), format!("Bearer {token}"));
    let mut headers: Vec<(Vec<u8>, Vec<u8>)> = [
        (":method", "POST"),
        (":scheme", "http"),
        (":authority", "quipu"),
        (":path", "/v1/sentiment"),
        ("authorization", &token),
        ("content-type", "application/json"),
        ("content-length", &length),
    ]
    .iter()
    .map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()))
    .collect();
    change(&mut headers);
    let mut block = BytesMut::new();
    for (name, value) in &headers {
        // A literal without indexing and without Huffman's code.
        block.put_u8(0);
        literal(&mut block, name);
        literal(&mut block, value);
    }
    let mut out = BytesMut::from(&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..]);
    frame(&mut out, 4, 0, 0, &[]);
    frame(&mut out, HEADERS, END_HEADERS, 1, &block);
    frame(&mut out, 0, END_STREAM, 1, body.as_bytes());
    out.to_vec()
}

fn literal(out: &mut BytesMut, text: &[u8]) {
    let length = text.len();
    if length < 127 {
        out.put_u8(u8::try_from(length).unwrap());
    } else {
        out.put_u8(127);
        let mut rest = length - 127;
        while rest >= 128 {
            out.put_u8(u8::try_from(rest % 128).unwrap() | 128);
            rest /= 128;
        }
        out.put_u8(u8::try_from(rest).unwrap());
    }
    out.extend_from_slice(text);
}

fn frame(out: &mut BytesMut, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    out.put_uint(u64::try_from(payload.len()).unwrap(), 3);
    out.put_u8(kind);
    out.put_u8(flags);
    out.put_u32(stream);
    out.extend_from_slice(payload);
}

/// What is wrong with what came.
pub(crate) fn judge(case: &Case, bytes: &[u8], closed: bool, calls: usize) -> Result<(), String> {
    let kinds = frame_kinds(bytes);
    // The first byte of a block is the status: 0x88 is 200 in the static table, 0x8c is 400.
    let answered = kinds.iter().find(|(kind, _)| *kind == HEADERS).map(|(_, first)| *first);
    let cut = closed || kinds.iter().any(|(kind, _)| matches!(*kind, RST_STREAM | GOAWAY));
    let holds = if case.good {
        calls == 1 && answered == Some(0x88)
    } else {
        calls == 0 && answered != Some(0x88) && (cut || answered.is_some())
    };
    if holds { Ok(()) } else { Err(format!("{calls} calls, answered {answered:?}, frames {kinds:?}")) }
}

/// Kind and first byte of each frame.
fn frame_kinds(mut bytes: &[u8]) -> Vec<(u8, u8)> {
    let mut kinds = Vec::new();
    while let [a, b, c, kind, ..] = bytes {
        let end = 9 + usize::from(*a) * 65536 + usize::from(*b) * 256 + usize::from(*c);
        kinds.push((*kind, bytes.get(9).copied().unwrap_or_default()));
        bytes = bytes.get(end..).unwrap_or_default();
    }
    kinds
}
