//! Texts that have broken programs, and documents that are no JSON.

/// A text of each class of reliability.md 6.1, and then some.
pub(crate) fn strings() -> Vec<(&'static str, String)> {
    let long = |n: usize| "a".repeat(n);
    [
        ("empty", String::new()),
        ("one character", "a".into()),
        ("as long as names are", long(100)),
        ("longer", long(101)),
        ("as long as addresses are", long(254)),
        ("longer than any field", long(10_001)),
        ("almost the whole body", long(60_000)),
        ("only spaces", "     ".into()),
        ("NUL", "a\0b".into()),
        ("only NUL", "\0".into()),
        ("controls", "\u{1}\u{2}\u{7}\u{8}\u{b}\u{c}\u{1b}[31m\u{7f}\u{85}".into()),
        ("CR LF", "a\r\nSet-Cookie: a=b".into()),
        ("separators", "a\u{2028}b\u{2029}c".into()),
        ("BOM", "\u{feff}a".into()),
        ("not a character", "\u{fffe}\u{ffff}\u{1fffe}\u{10ffff}".into()),
        ("composed", "\u{e9}\u{fb01}\u{212b}".into()),
        ("decomposed", "e\u{301}A\u{30a}".into()),
        ("a thousand marks", format!("a{}", "\u{301}".repeat(1_000))),
        ("right to left", "\u{202e}moc.elpmaxe@ada\u{202c}".into()),
        ("zero width", "a\u{200b}d\u{200c}a\u{200d}\u{2060}".into()),
        ("joined emoji", "👨‍👩‍👧‍👦🏳️‍🌈👍🏿".into()),
        ("homoglyphs", "аdmіn@ехаmрlе.com".into()),
        ("beyond the basic plane", "𝕬𝖉𝖆𠀀".into()),
        ("variation selectors", "a\u{fe0f}\u{e0100}".into()),
        ("tags", "\u{e0001}\u{e0061}\u{e007f}".into()),
        ("encoded path", "..%2f..%2fetc%2fpasswd%00".into()),
        ("path", "../../../../etc/passwd".into()),
        ("path of Windows", "..\\..\\CON\\AUX:\\\\.\\".into()),
        ("templates", "${7*7}{{7*7}}<%= 7*7 %>#{7*7}[[7*7]]".into()),
        ("SQL", "' OR '1'='1'; DROP TABLE users;--".into()),
        ("SQL comment", "admin'/*".into()),
        ("SQL wildcards", "%_%[a-z]".into()),
        ("SQL of Postgres", "$$; SELECT pg_sleep(10);--".into()),
        ("LDAP", "*)(uid=*))(|(uid=*".into()),
        ("shell", "`id`$(id);id|id&&id\n id".into()),
        ("HTML", "<script>alert(1)</script><img src=x onerror=alert(1)>".into()),
        (
            "XML",
            "<?xml version=\"1.0\"?><!DOCTYPE a [<!ENTITY b SYSTEM \"file:///etc/passwd\">]><a>&b;</a>"
                .into(),
        ),
        ("markdown", "![a](http://127.0.0.1/a)[b](javascript:alert(1))".into()),
        ("formula", "=cmd|' /C calc'!A0".into()),
        ("formats", "%s%n%x%p{0}{:?}\u{25}d".into()),
        ("JNDI", "${jndi:ldap://127.0.0.1/a}".into()),
        ("regular expression", "(a+)+$".into()),
        ("many letters for it", format!("{}!", long(5_000))),
        ("numbers as text", "-0 1e400 NaN Infinity 0x7fffffff 9223372036854775808".into()),
        ("words of programs", "null undefined None true nil __proto__ constructor".into()),
        ("a float", "1.7976931348623157e+309".into()),
        ("a time", "0000-00-00T00:00:00Z".into()),
        ("a far time", "10000-01-01T00:00:00Z".into()),
        ("a leap second", "2016-12-31T23:59:60Z".into()),
        ("a time that is not", "2025-02-29T25:61:61+24:00".into()),
        ("a fine time", "2026-01-01T00:00:00.9999999999Z".into()),
        ("nil", "00000000-0000-0000-0000-000000000000".into()),
        ("two addresses", "a@example.com,b@example.com".into()),
        ("an address in brackets", "Ada <a@example.com>".into()),
        ("an address in quotes", "\"a b\"@example.com".into()),
        ("an address of a number", "a@[127.0.0.1]".into()),
        ("an address with CR LF", "a@example.com\r\nBcc: b@example.com".into()),
        ("international", "пользователь@пример.рф".into()),
        ("zalgo", "Z̮̞̠͙͔ͅḀ̗̞͈̻̗Ḷ͙͎̯̹̞͓G̻O̭̗̮".into()),
        ("Turkish", "İIıi".into()),
        ("sharp", "ßẞſS".into()),
        ("one huge word of emoji", "😀".repeat(2_000)),
        ("a header", "Bearer eyJhbGciOiJub25lIn0.e30.".into()),
        ("line ends", "a\nb\rc\u{85}d\u{b}e\u{c}".into()),
    ]
    .into()
}

/// Documents that any reader of JSON must refuse.
pub(crate) fn broken() -> Vec<(&'static str, Vec<u8>)> {
    let mut all: Vec<(&str, Vec<u8>)> = [
        ("nothing", ""),
        ("only spaces", "  \n"),
        ("null", "null"),
        ("a number", "1"),
        ("a text", "\"a\""),
        ("true", "true"),
        ("a list", "[]"),
        ("a list of an object", "[{}]"),
        ("open", "{"),
        ("closed", "}"),
        ("half a name", "{\"a"),
        ("no value", "{\"a\":"),
        ("no colon", "{\"a\" 1}"),
        ("two colons", "{\"a\"::1}"),
        ("a comma at the end", "{\"a\":1,}"),
        ("a comma first", "{,\"a\":1}"),
        ("two commas", "{\"a\":1,,\"b\":2}"),
        ("only a comma", "{,}"),
        ("single quotes", "{'a':1}"),
        ("no quotes", "{a:1}"),
        ("a number as name", "{1:1}"),
        ("a comment", "{\"a\":1/*b*/}"),
        ("a comment behind", "{\"a\":1}//b"),
        ("a hash", "#{}"),
        ("garbage behind", "{\"a\":1} x"),
        ("two documents", "{}{}"),
        ("an extra end", "{\"a\":1}}"),
        ("the other end", "{\"a\":1]"),
        ("a raw line end", "{\"a\":\"b\nc\"}"),
        ("a raw tab", "{\"a\":\"b\tc\"}"),
        ("a raw NUL", "{\"a\":\"b\0c\"}"),
        ("a form feed", "{\x0c\"a\":1}"),
        ("an unknown escape", "{\"a\":\"\\x41\"}"),
        ("half an escape", "{\"a\":\"\\u00\"}"),
        ("no escape", "{\"a\":\"\\\"}"),
        ("a lone high surrogate", "{\"a\":\"\\ud800\"}"),
        ("a lone low surrogate", "{\"a\":\"\\udc00\"}"),
        ("two high surrogates", "{\"a\":\"\\ud800\\ud800\"}"),
        ("surrogates in the wrong order", "{\"a\":\"\\udc00\\ud800\"}"),
        ("a lone surrogate in a name", "{\"\\ud800\":1}"),
        ("a leading zero", "{\"a\":01}"),
        ("a plus", "{\"a\":+1}"),
        ("a point first", "{\"a\":.5}"),
        ("a point last", "{\"a\":5.}"),
        ("no exponent", "{\"a\":1e}"),
        ("hexadecimal", "{\"a\":0x1}"),
        ("NaN", "{\"a\":NaN}"),
        ("infinite", "{\"a\":-Infinity}"),
        ("beyond floats", "{\"a\":1e400}"),
        ("two minus", "{\"a\":--1}"),
        ("capitals", "{\"a\":TRUE}"),
        ("half a word", "{\"a\":nul}"),
        ("a form", "email=a&password=b"),
        ("XML", "<a/>"),
        ("no-break space", "{\u{a0}\"a\":1}"),
        ("a mark of order", "\u{feff}{}"),
        ("a star", "*"),
        ("an angle", "<"),
        ("a backslash", "\\"),
        ("a quote", "\""),
        ("an escaped document", "\\u007b\\u007d"),
    ]
    .map(|(name, text)| (name, text.as_bytes().to_vec()))
    .into();
    let utf16 = |order: fn(u16) -> [u8; 2], mark: bool| {
        let text = if mark { "\u{feff}{\"a\":1}" } else { "{\"a\":1}" };
        text.encode_utf16().flat_map(order).collect::<Vec<u8>>()
    };
    all.push(("UTF-16 LE", utf16(u16::to_le_bytes, true)));
    all.push(("UTF-16 BE", utf16(u16::to_be_bytes, true)));
    all.push(("UTF-16 without a mark", utf16(u16::to_le_bytes, false)));
    all.push(("UTF-32", "{\"a\":1}".chars().flat_map(|c| u32::from(c).to_le_bytes()).collect()));
    for (name, bytes) in [
        ("no UTF-8", &b"\xff"[..]),
        ("overlong", b"\xc0\xaf"),
        ("overlong NUL", b"\xc0\x80"),
        ("half a character", b"\xe2\x82"),
        ("a surrogate in UTF-8", b"\xed\xa0\x80"),
        ("beyond Unicode", b"\xf4\x90\x80\x80"),
        ("Latin-1", b"\xe9"),
        ("a lone continuation", b"\x80"),
        ("five bytes", b"\xf8\x88\x80\x80\x80"),
    ] {
        all.push((name, [b"{\"a\":\"", bytes, b"\"}"].concat()));
    }
    for (name, open, close) in [("deep lists", "[", "]"), ("deep objects", "{\"a\":", "}")] {
        for depth in [129, 1_000, 10_000, 100_000] {
            let deep = format!("{{\"a\":{}1{}}}", open.repeat(depth), close.repeat(depth));
            all.push((name, deep.clone().into_bytes()));
            all.push((name, deep.as_bytes()[..deep.len() / 2].to_vec()));
        }
    }
    let pairs: String = (0..5_000).map(|n| format!("\"k{n}\":1,")).collect();
    all.push(("many names", format!("{{{pairs}\"a\":1}}").into_bytes()));
    all.push(("a huge number", format!("{{\"a\":{}}}", "9".repeat(60_000)).into_bytes()));
    all.push(("a huge exponent", b"{\"a\":1e99999999999999999999}".to_vec()));
    all.push(("a long name", format!("{{\"{}\":1}}", "a".repeat(60_000)).into_bytes()));
    all
}

/// Values that fit no field of text.
pub(crate) const VALUES: [&str; 26] = [
    "0",
    "-0",
    "-1",
    "1.5",
    "2147483648",
    "9007199254740993",
    "9223372036854775808",
    "18446744073709551616",
    "1e308",
    "1e-400",
    "true",
    "false",
    "null",
    "[]",
    "{}",
    "[\"a\"]",
    "[null]",
    "[[[[]]]]",
    "{\"a\":1}",
    "{\"__proto__\":{}}",
    "[1,\"a\",null]",
    "{\"$ref\":\"#\"}",
    "{\"\":\"\"}",
    "[{}]",
    "123456789012345678901234567890",
    "-9223372036854775809",
];
