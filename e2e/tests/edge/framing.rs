//! Requests of HTTP/1 whose end two parties could see at different places.
//!
//! In the templates `{P}` is a good request line, `{H}` the host, `{A}` the headers that any good request has, `{B}` a good
//! body of `{L}` bytes, `{C}` the same in chunks, `{I}` a whole second request, and `{LI}` the length of body and second
//! request together.

/// What has to become of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expect {
    /// Refused or cut off; no part of it reaches a service.
    Refused,
    /// Legal: it is one request.
    One,
    /// Refused or one request, as the standard leaves open.
    Either,
}

use Expect::{Either, One, Refused};

/// Headers that say where the body ends; the body and a second request follow.
pub(crate) const LENGTHS: [(&str, &str, &str, Expect); 44] = [
    ("two lengths", "Content-Length: {L}\r\nContent-Length: 4", "{B}{I}", Refused),
    ("two lengths, the other way", "Content-Length: 4\r\nContent-Length: {L}", "{B}{I}", Refused),
    ("a list of lengths", "Content-Length: {L}, 4", "{B}{I}", Refused),
    ("a list of one length", "Content-Length: {L}, {L}", "{B}", Either),
    ("one length twice", "Content-Length: {L}\r\nContent-Length: {L}", "{B}", Either),
    ("a length with a sign", "Content-Length: +{L}", "{B}{I}", Refused),
    ("a negative length", "Content-Length: -1", "{B}{I}", Refused),
    ("a hexadecimal length", "Content-Length: 0x10", "{B}{I}", Refused),
    ("an empty length", "Content-Length:", "{B}{I}", Refused),
    ("a length with a space", "Content-Length: 1 0", "{B}{I}", Refused),
    ("a length beyond 64 bits", "Content-Length: 99999999999999999999", "{B}{I}", Refused),
    ("the largest length", "Content-Length: 18446744073709551615", "{B}{I}", Refused),
    ("a broken length", "Content-Length: 10.0", "{B}{I}", Refused),
    ("an exponent", "Content-Length: 1e1", "{B}{I}", Refused),
    ("letters behind a length", "Content-Length: {L}abc", "{B}{I}", Refused),
    ("a length with an underscore", "Content-Length: 1_0", "{B}{I}", Refused),
    ("a space before the colon", "Content-Length : {L}", "{B}{I}", Refused),
    ("a tab before the colon", "Content-Length\t: {L}", "{B}{I}", Refused),
    ("a NUL in the name", "Content-Length\0: {L}", "{B}{I}", Refused),
    ("a length in quotes", "Content-Length: \"{L}\"", "{B}{I}", Refused),
    ("CL.TE", "Content-Length: {LI}\r\nTransfer-Encoding: chunked", "{C}{I}", Either),
    (
        "CL.TE with an empty body",
        "Content-Length: {LI}\r\nTransfer-Encoding: chunked",
        "0\r\n\r\n{I}",
        Refused,
    ),
    ("TE.CL", "Transfer-Encoding: chunked\r\nContent-Length: 4", "{C}{I}", Either),
    ("TE.CL with an empty body", "Transfer-Encoding: chunked\r\nContent-Length: 4", "0\r\n\r\n{I}", Refused),
    ("TE.TE", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", "{C}{I}", Refused),
    ("TE.TE, the other way", "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked", "{C}{I}", Refused),
    ("an unknown coding", "Transfer-Encoding: xchunked", "{C}{I}", Refused),
    ("chunked and not last", "Transfer-Encoding: chunked, identity", "{C}{I}", Refused),
    ("chunked twice", "Transfer-Encoding: chunked, chunked", "{C}{I}", Refused),
    ("a coding below the chunks", "Transfer-Encoding: gzip, chunked", "{C}{I}", Refused),
    ("identity", "Transfer-Encoding: identity\r\nContent-Length: {L}", "{B}{I}", Refused),
    ("no coding", "Transfer-Encoding:\r\nContent-Length: {L}", "{B}{I}", Refused),
    ("a coding in quotes", "Transfer-Encoding: \"chunked\"", "{C}{I}", Refused),
    ("a parameter", "Transfer-Encoding: chunked;q=1", "{C}{I}", Refused),
    ("a comma before it", "Transfer-Encoding: ,chunked", "{C}{I}", Refused),
    (
        "TE with a space before the colon",
        "Transfer-Encoding : chunked\r\nContent-Length: {L}",
        "{B}{I}",
        Refused,
    ),
    ("a vertical tab before it", "Transfer-Encoding: \x0bchunked", "{C}{I}", Refused),
    ("a NUL behind it", "Transfer-Encoding: chunked\0", "{C}{I}", Refused),
    ("folded", "Transfer-Encoding:\r\n chunked\r\nContent-Length: {L}", "{B}{I}", Refused),
    ("hidden in a fold", "X-A: a\r\n Transfer-Encoding: chunked\r\nContent-Length: {L}", "{B}{I}", Refused),
    (
        "hidden behind a bare CR",
        "X-A: a\rTransfer-Encoding: chunked\r\nContent-Length: {L}",
        "{B}{I}",
        Refused,
    ),
    ("in capitals", "Transfer-Encoding: CHUNKED", "{C}", One),
    ("with an underscore", "Transfer_Encoding: chunked\r\nContent-Length: {L}", "{B}", One),
    ("named in Connection", "Connection: Content-Length\r\nContent-Length: {L}", "{B}", One),
];

/// Bodies in chunks; a second request follows those that are wrong.
pub(crate) const CHUNKS: [(&str, &str, Expect); 20] = [
    ("a size with 0x", "0x{X}\r\n{B}\r\n0\r\n\r\n{I}", Refused),
    ("a size with a sign", "+{X}\r\n{B}\r\n0\r\n\r\n{I}", Refused),
    ("a negative size", "-{X}\r\n{B}\r\n0\r\n\r\n{I}", Refused),
    ("no size", "\r\n{B}\r\n0\r\n\r\n{I}", Refused),
    ("a size of no number", "g\r\n{B}\r\n0\r\n\r\n{I}", Refused),
    ("a size beyond 64 bits", "10000000000000000{X}\r\n{B}\r\n0\r\n\r\n{I}", Refused),
    ("the largest size", "FFFFFFFFFFFFFFFF\r\n{B}{K}\r\n0\r\n\r\n{I}", Refused),
    ("two sizes", "{X} {X}\r\n{B}\r\n0\r\n\r\n{I}", Refused),
    ("an underscore", "{X}_\r\n{B}\r\n0\r\n\r\n{I}", Refused),
    ("no end of a chunk", "{X}\r\n{B}0\r\n\r\n{I}", Refused),
    ("a chunk longer than its size", "5\r\n{B}\r\n0\r\n\r\n{I}", Refused),
    ("bare line feeds", "{X}\n{B}\n0\n\n{I}", Refused),
    ("a line feed in an extension", "{X};a\n{B}\r\n0\r\n\r\n{I}", Refused),
    ("a bare CR in an extension", "{X};a\rb\r\n{B}\r\n0\r\n\r\n{I}", Refused),
    ("extensions without end", "{X};{K}\r\n{B}\r\n0\r\n\r\n{I}", Refused),
    ("trailers without end", "{X}\r\n{B}\r\n0\r\nX-A: {K}\r\n\r\n{I}", Refused),
    ("an extension", "{X};a=\"b\"\r\n{B}\r\n0\r\n\r\n", One),
    ("leading zeros", "000{X}\r\n{B}\r\n000\r\n\r\n", One),
    ("a length in a trailer", "{X}\r\n{B}\r\n0\r\nContent-Length: 4\r\n\r\n", Either),
    ("an identity in a trailer", "{X}\r\n{B}\r\n0\r\nX-User-Id: root\r\n\r\n", One),
];

/// Whole requests.
pub(crate) const WHOLE: [(&str, &str, Expect); 40] = [
    ("HTTP/0.9", "POST /v1/sentiment\r\n{H}{A}Content-Length: {L}\r\n\r\n{B}{I}", Refused),
    ("HTTP/2.0", "POST /v1/sentiment HTTP/2.0\r\n{H}{A}Content-Length: {L}\r\n\r\n{B}{I}", Refused),
    ("HTTP/1.2", "POST /v1/sentiment HTTP/1.2\r\n{H}{A}Content-Length: {L}\r\n\r\n{B}{I}", Refused),
    ("HTTP/1.10", "POST /v1/sentiment HTTP/1.10\r\n{H}{A}Content-Length: {L}\r\n\r\n{B}{I}", Refused),
    ("http/1.1", "POST /v1/sentiment http/1.1\r\n{H}{A}Content-Length: {L}\r\n\r\n{B}{I}", Refused),
    ("a fourth word", "POST /v1/sentiment HTTP/1.1 x\r\n{H}{A}Content-Length: {L}\r\n\r\n{B}{I}", Refused),
    (
        "a space before the method",
        " POST /v1/sentiment HTTP/1.1\r\n{H}{A}Content-Length: {L}\r\n\r\n{B}{I}",
        Refused,
    ),
    ("two spaces", "POST  /v1/sentiment HTTP/1.1\r\n{H}{A}Content-Length: {L}\r\n\r\n{B}{I}", Refused),
    ("tabs", "POST\t/v1/sentiment\tHTTP/1.1\r\n{H}{A}Content-Length: {L}\r\n\r\n{B}{I}", Refused),
    (
        "a space in the path",
        "POST /v1/senti ment HTTP/1.1\r\n{H}{A}Content-Length: {L}\r\n\r\n{B}{I}",
        Refused,
    ),
    (
        "a NUL in the path",
        "POST /v1/sentiment\0 HTTP/1.1\r\n{H}{A}Content-Length: {L}\r\n\r\n{B}{I}",
        Refused,
    ),
    (
        "a NUL in the method",
        "PO\0ST /v1/sentiment HTTP/1.1\r\n{H}{A}Content-Length: {L}\r\n\r\n{B}{I}",
        Refused,
    ),
    ("no path", "POST HTTP/1.1\r\n{H}{A}Content-Length: {L}\r\n\r\n{B}{I}", Refused),
    (
        "a bare CR in the line",
        "POST /v1/sentiment HTTP/1.1\rX: y\r\n{H}{A}Content-Length: {L}\r\n\r\n{B}{I}",
        Refused,
    ),
    (
        "chunks in HTTP/1.0",
        "POST /v1/sentiment HTTP/1.0\r\n{H}{A}Transfer-Encoding: chunked\r\n\r\n{C}{I}",
        Refused,
    ),
    ("no host", "{P}{A}Content-Length: {L}\r\n\r\n{B}", Refused),
    ("two hosts", "{P}{H}Host: other\r\n{A}Content-Length: {L}\r\n\r\n{B}", Refused),
    ("one host twice", "{P}{H}{H}{A}Content-Length: {L}\r\n\r\n{B}", Refused),
    ("two hosts in one", "{P}Host: quipu, other\r\n{A}Content-Length: {L}\r\n\r\n{B}", Refused),
    ("a host with a path", "{P}Host: quipu/x\r\n{A}Content-Length: {L}\r\n\r\n{B}", Refused),
    ("a host with a user", "{P}Host: a@quipu\r\n{A}Content-Length: {L}\r\n\r\n{B}", Refused),
    ("a space before a header", "{P} X-A: a\r\n{H}{A}Content-Length: {L}\r\n\r\n{B}{I}", Refused),
    ("a header without a colon", "{P}{H}{A}nothing\r\nContent-Length: {L}\r\n\r\n{B}{I}", Refused),
    ("a header without a name", "{P}{H}{A}: nothing\r\nContent-Length: {L}\r\n\r\n{B}{I}", Refused),
    ("a space in a name", "{P}{H}{A}Content Length: 4\r\nContent-Length: {L}\r\n\r\n{B}{I}", Refused),
    ("a control in a name", "{P}{H}{A}X\x01A: a\r\nContent-Length: {L}\r\n\r\n{B}{I}", Refused),
    ("a byte beyond ASCII in a name", "{P}{H}{A}Xé: a\r\nContent-Length: {L}\r\n\r\n{B}{I}", Refused),
    ("a NUL in a value", "{P}{H}{A}X-A: a\0b\r\nContent-Length: {L}\r\n\r\n{B}{I}", Refused),
    ("a control in a value", "{P}{H}{A}X-A: a\x02b\r\nContent-Length: {L}\r\n\r\n{B}{I}", Refused),
    ("two CRs", "{P}{H}{A}Content-Length: {L}\r\r\n\r\n{B}{I}", Refused),
    ("another's tunnel", "CONNECT quipu:80 HTTP/1.1\r\n{H}{A}\r\n{I}", Refused),
    ("the beginning of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{I}", Refused),
    ("bare line feeds", "POST /v1/sentiment HTTP/1.1\n{HN}{AN}Content-Length: {L}\n\n{B}", Either),
    ("an empty line before it", "\r\n{P}{H}{A}Content-Length: {L}\r\n\r\n{B}", One),
    ("absolute form", "POST http://quipu/v1/sentiment HTTP/1.1\r\n{H}{A}Content-Length: {L}\r\n\r\n{B}", One),
    (
        "absolute form of another",
        "POST http://other/v1/sentiment HTTP/1.1\r\n{H}{A}Content-Length: {L}\r\n\r\n{B}",
        Either,
    ),
    ("HTTP/1.0", "POST /v1/sentiment HTTP/1.0\r\n{A}Content-Length: {L}\r\n\r\n{B}", One),
    (
        "an upgrade to HTTP/2",
        "{P}{H}{A}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nContent-Length: {L}\r\n\r\n{B}",
        One,
    ),
    ("an expectation", "{P}{H}{A}Expect: 100-continue\r\nContent-Length: {L}\r\n\r\n{B}", One),
    ("an unknown expectation", "{P}{H}{A}Expect: money\r\nContent-Length: {L}\r\n\r\n{B}", Either),
];

/// One case, ready to send.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) expect: Expect,
    pub(crate) bytes: Vec<u8>,
    /// Text of the request itself.
    pub(crate) outer: String,
    /// Text of the second request, which nobody may see.
    pub(crate) inner: String,
}

/// Every case, each with texts of its own.
pub(crate) fn cases(token: &str) -> Vec<Case> {
    let lengths = LENGTHS.iter().map(|(name, framing, rest, expect)| {
        (format!("length: {name}"), format!("{{P}}{{H}}{{A}}{framing}\r\n\r\n{rest}"), *expect)
    });
    let chunks = CHUNKS.iter().map(|(name, body, expect)| {
        let head = "{P}{H}{A}Transfer-Encoding: chunked\r\n\r\n";
        (format!("chunks: {name}"), format!("{head}{body}"), *expect)
    });
    let whole =
        WHOLE.iter().map(|(name, text, expect)| (format!("whole: {name}"), (*text).to_owned(), *expect));
    let all = lengths.chain(chunks).chain(whole).enumerate();
    all.map(|(n, (name, template, expect))| {
        let (outer, inner) = (format!("outer {n} !"), format!("inner {n} !"));
        let bytes = fill(&template, token, &outer, &inner).into_bytes();
        Case { name, expect, bytes, outer, inner }
    })
    .collect()
}

/// The headers of a good request, but those of its framing.
fn headers(token: &str, text: &str) -> String {
    let id = text.replace([' ', '!'], "-");
    format!("Authorization: Bearer {token}\r\nContent-Type: application/json\r\nX-Request-Id: {id}\r\n")
}

/// A good request.
pub(crate) fn good(token: &str, text: &str) -> String {
    fill("{P}{H}{A}Content-Length: {L}\r\n\r\n{B}", token, text, "")
}

fn fill(template: &str, token: &str, outer: &str, inner: &str) -> String {
    let body = format!("{{\"text\":\"{outer}\"}}");
    let second = if inner.is_empty() { String::new() } else { good(token, inner) };
    let (headers, long) = (headers(token, outer), "a".repeat(200_000));
    let lengths =
        (body.len().to_string(), (body.len() + second.len()).to_string(), format!("{:x}", body.len()));
    let chunked = format!("{}\r\n{body}\r\n0\r\n\r\n", lengths.2);
    let filled = [
        ("{P}", "POST /v1/sentiment HTTP/1.1\r\n"),
        ("{H}", "Host: quipu\r\n"),
        ("{A}", &headers),
        ("{HN}", "Host: quipu\n"),
        ("{AN}", &headers.replace("\r\n", "\n")),
        ("{L}", &lengths.0),
        ("{LI}", &lengths.1),
        ("{X}", &lengths.2),
        ("{C}", &chunked),
        ("{K}", &long),
        ("{B}", &body),
        ("{I}", &second),
    ];
    filled.iter().fold(template.to_owned(), |text, (mark, value)| text.replace(mark, value))
}
