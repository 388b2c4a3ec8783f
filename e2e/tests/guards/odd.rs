//! What providers say in place of a joke.

use mesh_testkit::Reply;
use serde_json::Value;

/// What an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Is {
    /// A joke: blanks and a fence around it do not count.
    Joke,
    /// Not the JSON that was asked for: asked for once more.
    NoJoke,
    /// No answer of a provider.
    Broken,
    /// What the guards refuse.
    Html,
    Hidden,
    /// The model does not want to.
    Declined,
}

/// What a provider says in place of a joke.
pub(crate) struct Odd {
    pub(crate) name: &'static str,
    says: String,
    pub(crate) is: Is,
    reply: fn(String) -> Reply,
}

impl Odd {
    pub(crate) fn reply(&self, form: fn(Reply) -> Reply) -> Reply {
        let reply = (self.reply)(self.says.clone());
        // What no event can hold comes in many.
        if self.says.len() > 100_000 { reply.every(1_000) } else { form(reply) }
    }
}

fn odd(name: &'static str, is: Is, says: impl Into<String>) -> Odd {
    Odd { name, says: says.into(), is, reply: |text| Reply::text(text) }
}

/// All of them.
pub(crate) fn cases() -> Vec<Odd> {
    let joke =
        |setup: &str| format!("{{\"setup\":{},\"punchline\":\"So CANARY goes.\"}}", Value::from(setup));
    let good = joke("Why CANARY? Because.");
    let raw = |name, is, says: &str| odd(name, is, says);
    let member = |value: &str| format!("{{\"setup\":{value},\"punchline\":\"So CANARY goes.\"}}");
    let mut all = vec![
        raw("as it must be", Is::Joke, &good),
        raw("blanks around it", Is::Joke, &format!("\n\t {good} \r\n")),
        raw("a fence around it", Is::Joke, &format!("```json\n{good}\n```")),
        raw("the other order", Is::Joke, "{\"punchline\":\"Because CANARY.\",\"setup\":\"Why?\"}"),
        raw("text before", Is::NoJoke, &format!("Sure! Here is CANARY: {good}")),
        raw("text behind", Is::NoJoke, &format!("{good}\nI hope that you like CANARY.")),
        raw("a trailing comma", Is::NoJoke, &good.replace('}', ",}")),
        raw("a missing comma", Is::NoJoke, &good.replace("\",\"", "\" \"")),
        raw("single quotes", Is::NoJoke, &good.replace('"', "'")),
        raw("no quotes around the names", Is::NoJoke, "{setup:\"CANARY\",punchline:\"b\"}"),
        raw("comments", Is::NoJoke, &good.replacen('{', "{/* CANARY */", 1)),
        raw("a line of comment", Is::NoJoke, &format!("// CANARY\n{good}")),
        raw("a byte order mark", Is::NoJoke, &format!("\u{feff}{good}")),
        raw("cut short", Is::NoJoke, &good[..good.len() - 9]),
        raw("two objects", Is::NoJoke, &format!("{good}{good}")),
        raw("two objects in lines", Is::NoJoke, &format!("{good}\n{good}")),
        raw("two fences", Is::NoJoke, &format!("```json\n{good}\n```\n```json\n{good}\n```")),
        raw("an array of one", Is::NoJoke, &format!("[{good}]")),
        raw("an array", Is::NoJoke, "[\"CANARY\",\"b\"]"),
        raw("a text", Is::NoJoke, "\"CANARY\""),
        raw("a number", Is::NoJoke, "7"),
        raw("null", Is::NoJoke, "null"),
        raw("JSON in a text", Is::NoJoke, &Value::from(good.as_str()).to_string()),
        raw("nested", Is::NoJoke, &format!("{{\"joke\":{good}}}")),
        raw("prose", Is::NoJoke, "Why did CANARY cross the road? To get to the other side."),
        raw("a refusal in prose", Is::NoJoke, "I'm sorry, but I can't help with CANARY."),
        raw("a refusal in JSON", Is::NoJoke, "{\"error\":\"CANARY\"}"),
        raw("blanks", Is::NoJoke, " \n "),
        raw("an empty object", Is::NoJoke, "{}"),
        raw("no punchline", Is::NoJoke, "{\"setup\":\"CANARY\"}"),
        raw("no setup", Is::NoJoke, "{\"punchline\":\"CANARY\"}"),
        raw("another name", Is::NoJoke, "{\"Setup\":\"CANARY\",\"punchline\":\"b\"}"),
        raw("one member more", Is::NoJoke, &good.replace('}', ",\"note\":\"CANARY\"}")),
        raw("a prototype", Is::NoJoke, &good.replace('}', ",\"__proto__\":{\"admin\":true}}")),
        raw("a member twice", Is::NoJoke, &good.replace('}', ",\"setup\":\"CANARY\"}")),
        raw("the same member in escapes", Is::NoJoke, &good.replace('}', ",\"s\\u0065tup\":\"CANARY\"}")),
        raw("an empty setup", Is::NoJoke, &joke("")),
        raw("a blank setup", Is::NoJoke, &joke(" \n ")),
        raw("a lone half of a character", Is::NoJoke, &member("\"CANARY \\ud83d\"")),
        raw("an escape that is none", Is::NoJoke, &member("\"CANARY \\x41\"")),
        raw("a line break in a text", Is::NoJoke, &member("\"CANARY\nCANARY\"")),
        raw("markup", Is::Html, &joke("Why <b>CANARY</b>?")),
        raw("a script", Is::Html, &joke("Why? <script>alert('CANARY')</script>")),
        raw("an image with a handler", Is::Html, &joke("<img src=x onerror=alert(1)>")),
        raw("markup in escapes", Is::Html, &member("\"Why? \\u003cscript\\u003ealert(1)\"")),
        raw("entities", Is::Html, &joke("Why? &lt;script&gt;CANARY")),
        raw("an address that runs", Is::Html, &joke("Why? javascript:alert(1)")),
        raw("an image that tells", Is::Html, &joke("Why? ![x](https://example.com/?CANARY)")),
        raw("a NUL", Is::Hidden, &member("\"CANARY \\u0000\"")),
        raw("a mark of direction", Is::Hidden, &joke("CANARY \u{202e}")),
        raw("colours of a terminal", Is::Hidden, &joke("\u{1b}[31mCANARY")),
    ];
    for value in [
        "1",
        "1.5",
        "true",
        "null",
        "NaN",
        "Infinity",
        "-Infinity",
        "1e999",
        "[\"CANARY\"]",
        "{\"a\":\"CANARY\"}",
    ] {
        all.push(odd("of another type", Is::NoJoke, member(value)));
    }
    for depth in [5, 200, 2_000] {
        all.push(odd(
            "deep arrays",
            Is::NoJoke,
            member(&format!("{}{}", "[".repeat(depth), "]".repeat(depth))),
        ));
        let deep = format!("{}\"CANARY\"{}", "{\"setup\":".repeat(depth), "}".repeat(depth));
        all.push(odd("deep objects", Is::NoJoke, deep));
    }
    all.push(odd("a setup of 2,001 characters", Is::NoJoke, joke(&"x".repeat(2_001))));
    all.push(odd("a text of 1 MiB", Is::NoJoke, joke(&"x".repeat(1 << 20))));
    all.extend(of_providers(&good));
    all
}

/// What is odd about the way in which a provider says it.
fn of_providers(good: &str) -> Vec<Odd> {
    let with = |name, is, reply: fn(String) -> Reply| Odd { name, says: good.to_owned(), is, reply };
    vec![
        with("nothing", Is::NoJoke, |_| Reply::text("")),
        with("a refusal in its own field", Is::Declined, |_| Reply::refusal("I cannot speak of CANARY.")),
        with("cut at its longest", Is::NoJoke, |text| Reply::text(text).finish("length")),
        with("filtered", Is::Declined, |text| Reply::text(text).finish("content_filter")),
        with("an event that is no JSON", Is::Broken, |_| {
            Reply::stream("data: {\"CANARY\n\ndata: [DONE]\n\n")
        }),
        with("no end", Is::Broken, |text| Reply::text(text).no_finish().no_done()),
        with("a page", Is::Broken, |_| Reply::http(200, "<html>CANARY</html>").content_type("text/html")),
        with("an event of 1 MiB", Is::Broken, |_| {
            Reply::stream(format!(
                "data: {{\"choices\":[{{\"delta\":{{\"content\":\"{}\"}}}}]}}\n\n",
                "x".repeat(1 << 20)
            ))
        }),
    ]
}
